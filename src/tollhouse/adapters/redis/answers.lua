-- Recorded answers of idempotency keys. One run decides a batch of errands, each by itself, by the server's own time.
--
-- KEYS[1] is `{namespace}:answers:`; every other key begins as it does, so that all of them lie in one slot.
-- ARGV: lease_ms, most_bytes, most_gone, then the errands, each a word and what it takes.
--
-- k:NAME  hash: m (mark), x (exchange), is (going, answered, gone, free), u (until when its owner has the claim, ms),
--         w (somebody elsewhere waits), h (head), n (pieces), p1..pN. Its time to live is that of the key.
-- kept    zset: "NAME:BYTES" of answers -> when they expire;  bytes: what they take together
-- gone    zset: NAME of those whose answers had to go -> when they expire

local call = redis.call
local PREFIX = KEYS[1]
local LEASE_MS, MOST_BYTES, MOST_GONE = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local KEPT, BYTES, GONE_SET = PREFIX .. 'kept', PREFIX .. 'bytes', PREFIX .. 'gone'
local ENTRY_BYTES = 400
local GOING_MS = 86400000
local FREE_MS = 60000
local SWEPT = 20
local FIRST, GOING_ON, ANSWERED, GONE, MISMATCH, FREE = 1, 2, 3, 4, 5, 6

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function int(number)
  return string.format('%.0f', number)
end

local function note_gone(name, key, ttl)
  call('ZADD', GONE_SET, int(now + ttl), name)
  if call('ZCARD', GONE_SET) > MOST_GONE then
    local oldest = call('ZPOPMIN', GONE_SET)[1]
    if oldest and call('HGET', PREFIX .. 'k:' .. oldest, 'is') == 'gone' then
      call('DEL', PREFIX .. 'k:' .. oldest)
    end
  end
end

-- Only that the key was used stays known.
local function strip(name, key, ttl)
  local found = call('HMGET', key, 'm', 'x')
  call('DEL', key)
  call('HSET', key, 'm', found[1], 'x', found[2], 'is', 'gone')
  call('PEXPIRE', key, int(ttl))
  note_gone(name, key, ttl)
end

-- The one that would expire first.
local function let_one_go()
  local popped = call('ZPOPMIN', KEPT)
  if not popped[1] then
    return false
  end
  local name, bytes = string.match(popped[1], '^(%x+):(%d+)$')
  call('DECRBY', BYTES, bytes)
  local key = PREFIX .. 'k:' .. name
  local ttl = call('PTTL', key)
  if tonumber(popped[2]) > now and ttl > 0 then
    strip(name, key, ttl)
  end
  return true
end

local function sweep()
  local oldest = call('ZRANGE', KEPT, 0, SWEPT - 1, 'WITHSCORES')
  for i = 1, #oldest, 2 do
    if tonumber(oldest[i + 1]) > now then
      break
    end
    call('DECRBY', BYTES, string.match(oldest[i], ':(%d+)$'))
    call('ZREM', KEPT, oldest[i])
  end
  call('ZREMRANGEBYSCORE', GONE_SET, '-inf', int(now))
end

local function make_room(bytes)
  local held = tonumber(call('GET', BYTES) or '0')
  while held + bytes > MOST_BYTES do
    if not let_one_go() then
      return bytes <= MOST_BYTES
    end
    held = tonumber(call('GET', BYTES) or '0')
  end
  return true
end

local function begin(key, mark, exchange)
  call('DEL', key)
  call('HSET', key, 'm', mark, 'x', exchange, 'is', 'going', 'u', int(now + LEASE_MS))
  call('PEXPIRE', key, int(GOING_MS))
end

local function describe(key, mark, with_head)
  local found = call('HMGET', key, 'm', 'x', 'is', 'u', 'n')
  if not found[1] then
    return nil
  end
  if found[3] == 'free' then
    return { FREE, '', 0, 0, '' }
  end
  if found[1] ~= mark then
    return { MISMATCH, '', 0, 0, '' }
  end
  if found[3] == 'answered' then
    return { ANSWERED, found[2], call('PTTL', key), tonumber(found[5]), '' }
  end
  if found[3] == 'gone' or tonumber(found[4]) < now then
    return { GONE, found[2], 0, 0, '' }
  end
  local head = ''
  if with_head then
    head = call('HGET', key, 'h') or ''
    if head == '' then
      call('HSET', key, 'w', '1')
    end
  end
  return { GOING_ON, found[2], 0, 0, head }
end

-- Whether this exchange may say what becomes of the key: it has the claim, or nobody has.
local function is_of(key, mark, exchange)
  local found = call('HMGET', key, 'x', 'is')
  if not found[1] or found[2] == 'free' then
    begin(key, mark, exchange)
    return true
  end
  return found[1] == exchange and found[2] == 'going'
end

local at = 3
local function word()
  at = at + 1
  return ARGV[at]
end

local errands = {}

function errands.claim()
  local name, mark, exchange = word(), word(), word()
  local key = PREFIX .. 'k:' .. name
  local found = describe(key, mark, false)
  if found and found[1] ~= FREE then
    return found
  end
  begin(key, mark, exchange)
  return FIRST
end

function errands.look()
  local name, mark, with_head = word(), word(), word()
  return describe(PREFIX .. 'k:' .. name, mark, with_head == '1') or { GONE, '', 0, 0, '' }
end

-- Says whether somebody waits who would like to know how the answer begins.
function errands.renew()
  local name, mark, exchange = word(), word(), word()
  local key = PREFIX .. 'k:' .. name
  if not is_of(key, mark, exchange) then
    return 0
  end
  call('HSET', key, 'u', int(now + LEASE_MS))
  return tonumber(call('HGET', key, 'w') or '0')
end

function errands.head()
  local name, mark, exchange, head = word(), word(), word(), word()
  local key = PREFIX .. 'k:' .. name
  if is_of(key, mark, exchange) then
    call('HSET', key, 'h', head)
    call('HDEL', key, 'w')
  end
  return 1
end

-- Piece `number` of `count`. Room for all of them is made with the first; the answer is there with the last.
function errands.put()
  local name, mark, exchange = word(), word(), word()
  local life, bytes, number, count, piece = tonumber(word()), tonumber(word()), word(), word(), word()
  local key = PREFIX .. 'k:' .. name
  if not is_of(key, mark, exchange) then
    return 0
  end
  if number == '1' then
    local all = bytes + ENTRY_BYTES
    if not make_room(all) then
      strip(name, key, life)
      return 0
    end
    call('INCRBY', BYTES, int(all))
    call('ZADD', KEPT, int(now + life), name .. ':' .. int(all))
    call('PEXPIRE', key, int(life)) -- as long as it is counted, also if the last piece never comes
  elseif call('HEXISTS', key, 'p' .. (number - 1)) == 0 then
    strip(name, key, life) -- the server has lost those before
    return 0
  end
  call('HSET', key, 'p' .. number, piece, 'u', int(now + LEASE_MS))
  if number == count then
    call('HSET', key, 'is', 'answered', 'n', count)
    call('HDEL', key, 'h', 'w', 'u')
  end
  return 1
end

function errands.take()
  local name, number = word(), word()
  local found = call('HMGET', PREFIX .. 'k:' .. name, 'x', 'p' .. number)
  return { found[1] or '', found[2] or '' }
end

function errands.lose()
  local name, mark, exchange, life = word(), word(), word(), tonumber(word())
  local key = PREFIX .. 'k:' .. name
  if is_of(key, mark, exchange) then
    strip(name, key, life)
  end
  return 1
end

function errands.free()
  local name, exchange = word(), word()
  local key = PREFIX .. 'k:' .. name
  local found = call('HMGET', key, 'x', 'is')
  if found[1] == exchange and found[2] == 'going' then
    call('DEL', key)
    call('HSET', key, 'm', '', 'x', exchange, 'is', 'free')
    call('PEXPIRE', key, int(FREE_MS))
  end
  return 1
end

-- Whether anybody is there.
function errands.ping()
  return 1
end

sweep()
local answers = {}
while at < #ARGV do
  answers[#answers + 1] = errands[word()]()
end
return answers
