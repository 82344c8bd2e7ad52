-- What keepers ask: how the bank is, to rebuild it from the ledger, and to put away the registers of owners that ended.
--
-- request: run, lease_us, what, arguments
--   look                                  answer: status, frozen_us, owners, joined
--   begin    token, wait_us, lock_us      answer: status, wait_us
--   put      token, lock_us, {purse, ttl_s, {owner, nanousd, ...}, ...}
--   commit   token, is_new
--   recover  owner, {purse, ttl_s, nanousd, ...}
--   fold     owner, is_recovered, at_once
-- answers of the last four: status

local OPEN, FROZEN, WAIT, BUSY, LOST, DONE, MORE = 0, 1, 2, 3, 4, 5, 6
local GONE_KEPT_US = 90 * 86400 * 1000000

local what = request[3]

local function answer(...)
  return cmsgpack.pack({ ... })
end

local function holds_lock(token)
  local lock = call('HGET', BANK, 'lock')
  return not is_open and lock == token
end

local function keep_lock(token, lock_us)
  call('HSET', BANK, 'lock', token, 'lock_until', int(now + lock_us))
end

-- Some owner may be in the middle of telling what it holds; one that has fallen silent has nothing left to hold.
local function is_somebody_joining()
  for _, owner in ipairs(call('SMEMBERS', PREFIX .. 'joining')) do
    local seen = call('ZSCORE', PREFIX .. 'seen', owner)
    if seen and tonumber(seen) >= now - LEASE_US then
      return true
    end
  end
  return false
end

local function look()
  local owners = call('ZCOUNT', PREFIX .. 'seen', int(now - LEASE_US), '+inf')
  local joined = call('SCARD', PREFIX .. 'joined')
  return answer(is_open and OPEN or FROZEN, is_open and 0 or now - changed, owners, joined)
end

local function begin(token, wait_us, lock_us)
  if is_open then
    return answer(OPEN, 0)
  end
  local lock = call('HMGET', BANK, 'lock', 'lock_until')
  if lock[1] and lock[1] ~= token and tonumber(lock[2]) > now then
    return answer(BUSY, tonumber(lock[2]) - now)
  end
  if now < changed + wait_us then
    return answer(WAIT, changed + wait_us - now)
  end
  keep_lock(token, lock_us)
  -- What another keeper had begun to write counts no more.
  call('HSET', BANK, 'generation', int(now))
  return answer(DONE, 0)
end

local function put(token, lock_us, purses)
  if not holds_lock(token) then
    return answer(is_open and OPEN or LOST)
  end
  keep_lock(token, lock_us)
  for i = 1, #purses, 3 do
    local key, ttl_s, registers = PREFIX .. 'p:' .. purses[i], purses[i + 1], purses[i + 2]
    call('DEL', key)
    call('HSET', key, 'g', generation)
    for n = 1, #registers, 2 do
      call('HINCRBY', key, 's', int(registers[n + 1]))
      call('HSET', key, 's:' .. registers[n], int(registers[n + 1]))
      call('SADD', PREFIX .. 'in:' .. registers[n], 'p:' .. purses[i])
    end
    if ttl_s > 0 then
      call('EXPIRE', key, int(ttl_s))
    end
  end
  return answer(DONE)
end

-- Those that have joined know better than the ledger what they have spent, and alone what they hold.
local function take_word(owner)
  local key = PREFIX .. 'j:' .. owner
  local told = call('HGETALL', key)
  for i = 1, #told, 2 do
    local spent, held, ttl_s = string.match(told[i + 1], '^(%-?%d+) (%-?%d+) (%d+)$')
    local purse = load_purse(told[i], owner)
    if purse then
      set_register(purse, tonumber(spent), tonumber(held))
      save_purse(purse, owner, tonumber(ttl_s))
    end
  end
  call('DEL', key)
end

local function commit(token, is_new)
  if not holds_lock(token) then
    return answer(is_open and OPEN or LOST)
  end
  if is_somebody_joining() then
    return answer(WAIT)
  end
  for _, owner in ipairs(call('SMEMBERS', PREFIX .. 'joined')) do
    take_word(owner)
  end
  call('DEL', PREFIX .. 'joined', PREFIX .. 'joining')
  call('HDEL', BANK, 'lock', 'lock_until', 'frozen_run')
  call('HSET', BANK, 'run', RUN)
  if is_new == 1 then
    call('HSET', BANK, 'changed', 0)
  end
  return answer(DONE)
end

local function bar(owner)
  local before = now - GONE_KEPT_US
  call('ZREMRANGEBYSCORE', PREFIX .. 'gone', '-inf', int(before))
  call('ZREMRANGEBYSCORE', PREFIX .. 'settled', '-inf', int(before))
  call('ZADD', PREFIX .. 'gone', int(now), owner)
  call('ZREM', PREFIX .. 'seen', owner)
  call('HDEL', PREFIX .. 'seqs', owner)
  call('SREM', PREFIX .. 'joined', owner)
  call('SREM', PREFIX .. 'joining', owner)
  call('DEL', PREFIX .. 'j:' .. owner)
end

local function recover(owner, purses)
  bar(owner)
  if not is_open then
    return answer(FROZEN)
  end
  if call('ZSCORE', PREFIX .. 'settled', owner) then
    return answer(OPEN)
  end
  for i = 1, #purses, 3 do
    local purse = load_purse(purses[i], owner)
    if purse then
      set_register(purse, purses[i + 2], 0)
      save_purse(purse, owner, purses[i + 1])
      call('SADD', PREFIX .. 'done:' .. owner, 'p:' .. purses[i])
    end
  end
  return answer(DONE)
end

local function fold_purse(owner, id, is_recovered)
  local purse = load_purse(id, owner)
  if not purse or purse.is_stale or not purse.is_known then
    return
  end
  local is_done = call('SISMEMBER', PREFIX .. 'done:' .. owner, 'p:' .. id) == 1
  if not is_done then
    -- Of an owner whose books are complete nothing is left but what they say; of another all it held may be spent. Books
    -- are about money: what is counted besides stays as it was.
    local is_in_books = is_recovered and string.sub(id, 1, 6) ~= 'count/'
    set_register(purse, is_in_books and 0 or purse.own_s + purse.own_h, 0)
    save_purse(purse, owner, 0)
  end
  call('HDEL', purse.key, 's:' .. owner, 'h:' .. owner)
end

local function fold_slots(owner, id)
  local key = PREFIX .. 'n:' .. id
  local found = pcall('HMGET', key, 'g', 'o:' .. owner)
  if not found.err and found[1] == era and found[2] then
    call('HINCRBY', key, 't', int(-found[2]))
    call('HDEL', key, 'o:' .. owner)
  end
end

local function fold(owner, is_recovered, at_once)
  bar(owner)
  if not is_open then
    return answer(FROZEN)
  end
  call('ZADD', PREFIX .. 'settled', int(now), owner)
  for _, member in ipairs(call('SPOP', PREFIX .. 'in:' .. owner, at_once)) do
    local id = string.sub(member, 3)
    if string.sub(member, 1, 2) == 'p:' then
      fold_purse(owner, id, is_recovered == 1)
    else
      fold_slots(owner, id)
    end
  end
  if call('EXISTS', PREFIX .. 'in:' .. owner) == 1 then
    return answer(MORE)
  end
  call('DEL', PREFIX .. 'done:' .. owner)
  return answer(DONE)
end

local orders = { look = look, begin = begin, put = put, commit = commit, recover = recover, fold = fold }
return orders[what](unpack(request[4]))
