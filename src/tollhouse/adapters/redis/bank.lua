-- One message of one owner: what it holds and has used, calls to be decided in order, and what it would like to be
-- handed in advance. All is read before anything is written, so that a key of a wrong type spoils itself only.
--
-- request: run, lease_us, owner, seq, flags, cell_us, entries, calls
--   entry of a purse:  1, id, limit, is_hard, past, ttl_s, spent, held, acked, free, want, need
--   entry of a window: 2, id, limit, is_hard, add, {cell, amount, ...} given back, want
--   entry of slots:    3, id, limit, is_hard, in_use, kept, want
--   call:              entry, amount, entry, amount, ...
-- answer: status, owners, young_us, entries, calls, era
--   entry of a purse:  left, extra, the most that may be free
--   entry of slots:    left, extra
--   entry of a window: left, extra, cell, us until its end, us until the window is empty
--   of a key of a wrong type, and of a purse whose owner has forgotten something: nothing
--   calls:             entry, retry_us for each: 0, 0 where it is charged; retry_us is -1 where waiting does not help,
--                      -2 where it cannot be known

local OPEN, FROZEN, REJOIN, GONE, STALE = 0, 1, 2, 3, 4
local JOIN_FIRST, JOIN, JOIN_LAST, LEAVE = 1, 2, 4, 8
local PURSE, WINDOW, SLOTS = 1, 2, 3
local CELLS = 240
-- So small a part of what is left may be handed out in advance, to all owners together.
local PURSE_SHARE, WINDOW_SHARE = 128, 16

local owner, seq, flags, cell_us = request[3], request[4], request[5], request[6]
local entries, calls = request[7], request[8]

local function has(flag)
  return floor(flags / flag) % 2 == 1
end

local function answer(status)
  return cmsgpack.pack({ status, 0, 0, {}, {} })
end

-- Is the owner one whose figures may be taken?

if call('ZSCORE', PREFIX .. 'gone', owner) then
  return answer(GONE)
end
local last_seq = tonumber(call('HGET', PREFIX .. 'seqs', owner) or 0)
if seq <= last_seq then
  return answer(STALE)
end
local seen = tonumber(call('ZSCORE', PREFIX .. 'seen', owner) or 0)
if not has(JOIN_FIRST) then
  if last_seq == 0 or seen < now - LEASE_US then
    return answer(REJOIN)
  end
  if not has(JOIN) and call('SISMEMBER', PREFIX .. 'joining', owner) == 1 then
    return answer(REJOIN)
  end
end

-- Purses

local purses = {}

local function read_purse(entry)
  local purse = load_purse(entry[2], owner)
  if not purse then
    return nil
  end
  purse.limit, purse.is_hard, purse.ttl_s = entry[3], entry[4] == 1, entry[6]
  purse.want, purse.need, purse.free = entry[11], entry[12], entry[10]
  purse.is_forgotten = not has(JOIN) and purse.own_s < entry[9]
  if is_open and not has(JOIN) and entry[7] < purse.own_s then
    return nil -- the owner has forgotten what it spent, and what it would say now is too little
  end
  purses[purse.id] = purse
  set_register(purse, entry[7], entry[8])
  return purse
end

local past = {}

local function used_before(id)
  local purse = purses[id]
  if purse then
    return purse.s + purse.h
  end
  if not past[id] then
    local found = pcall('HMGET', PREFIX .. 'p:' .. id, 'g', 's', 'h')
    if found.err then
      return EXACT
    end
    past[id] = found[1] == generation and tonumber(found[2] or 0) + tonumber(found[3] or 0) or 0
  end
  return past[id]
end

local function purse_left(purse, entry)
  local used = purse.s + purse.h
  for _, id in ipairs(entry[5]) do
    used = used + used_before(id)
  end
  local left = purse.limit - used
  if used > EXACT or purse.limit > EXACT then
    left = left - MARGIN
  end
  return left
end

-- Windows

local function slide(window, cell)
  local oldest = cell - CELLS
  if not window.last or window.last < oldest then
    window.is_new = true
    window.sum, window.first, window.last, window.here = 0, nil, nil, 0
    return true
  end
  while window.first and window.first < oldest do
    local found = pcall('HMGET', window.key, 'v' .. int(window.first), 'x' .. int(window.first))
    if found.err then
      return false
    end
    window.sum = window.sum - tonumber(found[1] or 0)
    window.drop[#window.drop + 1] = 'v' .. int(window.first)
    window.drop[#window.drop + 1] = 'x' .. int(window.first)
    window.first = tonumber(found[2] or nil)
  end
  return true
end

local function give_back(window, cell, amount)
  if cell == window.cell then
    local taken = min(window.here, amount)
    window.here, window.sum = window.here - taken, window.sum - taken
  elseif not window.is_new and cell < window.cell and cell >= window.cell - CELLS then
    local held = window.before[cell] or tonumber(call('HGET', window.key, 'v' .. int(cell)) or 0)
    local taken = min(held, amount)
    window.before[cell], window.sum = held - taken, window.sum - taken
  end
end

local function read_window(entry)
  local cell = floor(now / cell_us)
  local key = PREFIX .. 'w:' .. entry[2]
  local found = pcall('HMGET', key, 'sum', 'first', 'last', 'v' .. int(cell))
  if found.err then
    return nil
  end
  local window = {
    key = key, cell = cell, limit = entry[3], is_hard = entry[4] == 1, want = entry[7],
    sum = tonumber(found[1] or 0), first = tonumber(found[2] or nil), last = tonumber(found[3] or nil),
    here = tonumber(found[4] or 0), before = {}, drop = {},
  }
  window.sum_then = window.sum
  if not slide(window, cell) then
    return nil
  end
  for i = 1, #entry[6], 2 do
    give_back(window, entry[6][i], entry[6][i + 1])
  end
  window.here, window.sum = window.here + entry[5], window.sum + entry[5]
  return window
end

-- When the cells have left the window that make room for so much; -1 where the limit itself is less.
local function retry_us(window, amount)
  local excess = window.sum + amount - window.limit
  if amount > window.limit then
    return -1
  end
  local cell = window.first
  while cell and cell < window.cell do
    local step = window.steps and window.steps[cell]
    if not step then
      local found = call('HMGET', window.key, 'v' .. int(cell), 'x' .. int(cell))
      step = { tonumber(found[1] or 0), tonumber(found[2] or nil) }
      window.steps = window.steps or {}
      window.steps[cell] = step
    end
    excess = excess - (window.before[cell] or step[1])
    if excess <= 0 then
      break
    end
    cell = step[2]
  end
  return ((cell or window.cell) + CELLS + 1) * cell_us - now
end

local function save_window(window)
  if window.is_new and window.here == 0 then
    return
  end
  local key, here = window.key, int(window.cell)
  if window.is_new then
    call('DEL', key)
  elseif #window.drop > 0 then
    call('HDEL', key, unpack(window.drop))
  end
  for cell, amount in pairs(window.before) do
    call('HSET', key, 'v' .. int(cell), int(amount))
  end
  if window.last ~= window.cell and window.here > 0 then
    if window.first then
      call('HSET', key, 'x' .. int(window.last), here)
    end
    window.first, window.last = window.first or window.cell, window.cell
    call('HSET', key, 'first', int(window.first), 'last', here, 'sum', int(window.sum), 'v' .. here, int(window.here))
    call('PEXPIRE', key, int(cell_us * (CELLS + 2) / 1000) + 1000)
    return
  end
  if #window.drop > 0 and window.first then
    call('HSET', key, 'first', int(window.first))
  end
  if window.last == window.cell then
    call('HSET', key, 'sum', int(window.sum), 'v' .. here, int(window.here))
  elseif window.sum ~= window.sum_then then
    call('HSET', key, 'sum', int(window.sum))
  end
end

-- Slots

local lapsed

-- Who has not been heard of for as long as a lease lasts has no calls in flight any more.
local function free_slots_of_the_lapsed(slots)
  lapsed = lapsed or call('ZRANGEBYSCORE', PREFIX .. 'seen', '-inf', '(' .. int(now - LEASE_US), 'LIMIT', 0, 1000)
  if #lapsed == 0 or slots.is_swept then
    return
  end
  slots.is_swept = true
  local fields = {}
  for i, other in ipairs(lapsed) do
    fields[i] = 'o:' .. other
  end
  local found = slots.is_stale and {} or call('HMGET', slots.key, unpack(fields))
  for i, field in ipairs(fields) do
    if found[i] and lapsed[i] ~= owner then
      slots.t = slots.t - tonumber(found[i])
      slots.drop[#slots.drop + 1] = field
    end
  end
end

local function read_slots(entry)
  local key = PREFIX .. 'n:' .. entry[2]
  local found = pcall('HMGET', key, 'g', 't', 'o:' .. owner)
  if found.err then
    return nil
  end
  local slots = {
    key = key, id = entry[2], limit = entry[3], is_hard = entry[4] == 1, kept = entry[6], want = entry[7],
    is_stale = found[1] ~= era, was_there = found[1], drop = {},
  }
  if slots.is_stale then
    found = {}
  end
  slots.is_known = found[3] and true or false
  slots.own_then = tonumber(found[3] or 0)
  slots.own = entry[5]
  slots.t = tonumber(found[2] or 0) + slots.own - slots.own_then
  return slots
end

local function save_slots(slots)
  if slots.t == 0 then
    call('DEL', slots.key)
    call('SREM', PREFIX .. 'in:' .. owner, 'n:' .. slots.id)
    return
  end
  if slots.is_stale then
    if slots.was_there then
      call('DEL', slots.key)
    end
    call('HSET', slots.key, 'g', era)
  elseif #slots.drop > 0 then
    call('HDEL', slots.key, unpack(slots.drop))
  end
  if not slots.is_known then
    call('SADD', PREFIX .. 'in:' .. owner, 'n:' .. slots.id)
  end
  call('HSET', slots.key, 't', int(slots.t), 'o:' .. owner, int(slots.own))
end

-- Read

local kinds = { [PURSE] = read_purse, [WINDOW] = read_window, [SLOTS] = read_slots }
local counters = {}
for i, entry in ipairs(entries) do
  counters[i] = kinds[entry[1]](entry) or false
  if is_open and counters[i] and counters[i].is_forgotten then
    freeze()
    return answer(REJOIN)
  end
end

-- Decide

local function left_of(counter, entry)
  if entry[1] == PURSE then
    return purse_left(counter, entry)
  elseif entry[1] == WINDOW then
    return counter.limit - counter.sum
  end
  return counter.limit - counter.t
end

local function refusal(index, amount)
  local counter, entry = counters[index], entries[index]
  if not counter or not is_open then
    return -2
  end
  if not counter.is_hard or amount <= left_of(counter, entry) then
    return nil
  end
  if entry[1] == WINDOW then
    return retry_us(counter, amount)
  elseif entry[1] == SLOTS then
    free_slots_of_the_lapsed(counter)
    if amount <= left_of(counter, entry) then
      return nil
    end
    return amount <= counter.limit and 1000000 or -1
  end
  return -1
end

local function charge(index, amount)
  local counter, kind = counters[index], entries[index][1]
  if kind == PURSE then
    hold(counter, amount)
  elseif kind == WINDOW then
    counter.here, counter.sum = counter.here + amount, counter.sum + amount
  else
    counter.t, counter.own = counter.t + amount, counter.own + amount
  end
end

local decisions = {}
for n, charges in ipairs(calls) do
  local refused, why = 0, 0
  for i = 1, #charges, 2 do
    local retry = refusal(charges[i], charges[i + 1])
    if retry then
      refused, why = charges[i], retry
      break
    end
  end
  if refused == 0 then
    for i = 1, #charges, 2 do
      charge(charges[i], charges[i + 1])
    end
  end
  decisions[2 * n - 1], decisions[2 * n] = refused, why
end

-- Hand out in advance, write, answer

call('ZADD', PREFIX .. 'seen', int(now), owner)
call('HSET', PREFIX .. 'seqs', owner, int(seq))
local owners = max(1, call('ZCOUNT', PREFIX .. 'seen', int(now - LEASE_US), '+inf'))

-- What an owner may have free of a purse: nothing where that is less than a call needs, so that near its end each call
-- is decided by itself.
local function most_free(purse, left)
  local most = floor((left + purse.free) / (PURSE_SHARE * owners))
  return is_open and most >= purse.need and max(0, most) or 0
end

local function extra_of(counter, entry, left)
  if not is_open or counter.want <= 0 or left <= 0 then
    return 0
  end
  if entry[1] == PURSE then
    return max(0, min(counter.want, most_free(counter, left)) - counter.free)
  elseif entry[1] == WINDOW then
    local rest = (counter.cell + 1) * cell_us - now
    return floor(min(counter.want * rest / cell_us, left / WINDOW_SHARE))
  end
  return floor(max(0, min(counter.want - counter.kept, (left - counter.limit / 2) / owners)))
end

if has(JOIN_FIRST) then
  call('SADD', PREFIX .. 'joining', owner)
  call('SREM', PREFIX .. 'joined', owner)
  call('DEL', PREFIX .. 'j:' .. owner)
end
local answers = {}
for i, entry in ipairs(entries) do
  local counter = counters[i]
  if not counter then
    answers[i] = {}
  else
    local kind = entry[1]
    local left = left_of(counter, entry)
    local extra = extra_of(counter, entry, left)
    charge(i, extra)
    if kind == PURSE then
      answers[i] = { left - extra, extra, most_free(counter, left) }
      if is_open then
        save_purse(counter, owner, counter.ttl_s)
      else
        call('HSET', PREFIX .. 'j:' .. owner, counter.id, int(entry[7]) .. ' ' .. int(entry[8]) .. ' ' .. int(entry[6]))
      end
    elseif kind == WINDOW then
      save_window(counter)
      local latest = counter.here > 0 and counter.cell or counter.last
      local empty_us = counter.sum > 0 and latest and (latest + CELLS + 1) * cell_us - now or 0
      answers[i] = { left - extra, extra, counter.cell, (counter.cell + 1) * cell_us - now, empty_us }
    else
      save_slots(counter)
      answers[i] = { left - extra, extra }
    end
  end
end

if has(JOIN_LAST) then
  call('SREM', PREFIX .. 'joining', owner)
  if not is_open then
    call('SADD', PREFIX .. 'joined', owner)
  end
end
if has(LEAVE) and is_open then
  call('ZADD', PREFIX .. 'gone', int(now), owner)
  call('ZREM', PREFIX .. 'seen', owner)
  call('HDEL', PREFIX .. 'seqs', owner)
end

local young_us = max(0, changed + CELLS * cell_us - now)
return cmsgpack.pack({ is_open and OPEN or FROZEN, owners, young_us, answers, decisions, era })
