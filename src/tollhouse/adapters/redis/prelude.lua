-- What every script begins with: whose keys, what time it is, and whether the bank is open.
--
-- KEYS[1] is `{namespace}:bank`; every other key begins as it does, so that all of them lie in one slot.
-- ARGV[1] is a request in msgpack whose first two fields are the run id of the server, as the asker's connection knows
-- it, and the length of a lease in microseconds.
--
-- bank        hash: run (the server run the bank is good for; absent while it is frozen), frozen_run, changed (when it
--             froze last), generation (of purses), era (of slots), last and offset (the clock), lock and lock_until (of
--             a keeper that rebuilds)
-- seen        zset: owner -> when it was heard of last
-- seqs        hash: owner -> the number of its last message
-- joining     set: owners that are still telling what they hold
-- joined      set: owners that have told it since the bank froze;  j:OWNER hash: purse -> "spent held"
-- gone        zset: owners that are never heard again;  settled zset: those whose registers have been put away
-- in:OWNER    set: p:PURSE and n:SLOTS in which an owner has registers
-- p:ID        hash: g (generation), s and h (spent and held, of all), s:OWNER, h:OWNER (of one, cumulative)
-- w:ID        hash: sum, first, last, vCELL (uses in a cell), xCELL (the next cell with any)
-- n:ID        hash: g (era), t (slots in use, of all), o:OWNER

local call, pcall = redis.call, redis.pcall
local floor, min, max = math.floor, math.min, math.max

local BANK = KEYS[1]
local PREFIX = string.sub(BANK, 1, -5)
local request = cmsgpack.unpack(ARGV[1])
local RUN, LEASE_US = request[1], request[2]

-- Numbers in Lua are exact up to this; sums beyond it are kept exactly by HINCRBY and compared with a margin.
local EXACT = 9007199254740992
local MARGIN = 4096

-- As Redis reads it; what is too large for Lua comes as a text and stays one.
local function int(number)
  if type(number) == 'string' then
    return number
  end
  return string.format('%.0f', number + 0) -- never -0
end

local bank = call('HMGET', BANK, 'run', 'frozen_run', 'changed', 'generation', 'last', 'offset', 'era')

-- The bank's own clock goes at the server's pace and never back: what the server's is set back by is added from then on.
local time = call('TIME')
local offset = tonumber(bank[6] or 0)
local now = time[1] * 1000000 + time[2] + offset
local last = tonumber(bank[5] or 0)
if now < last then
  offset = offset + last - now
  now = last
end

local changed = tonumber(bank[3] or 0)
local generation, era = bank[4], bank[7]

-- What is in the purses is not known: writes may have been lost. Nobody has joined yet, and what was written by earlier
-- generations counts no more.
local function freeze()
  for _, owner in ipairs(call('SMEMBERS', PREFIX .. 'joined')) do
    call('DEL', PREFIX .. 'j:' .. owner)
  end
  for _, owner in ipairs(call('SMEMBERS', PREFIX .. 'joining')) do
    call('DEL', PREFIX .. 'j:' .. owner)
  end
  call('DEL', PREFIX .. 'joined', PREFIX .. 'joining', PREFIX .. 'seen', PREFIX .. 'seqs')
  generation, era, changed = int(now), int(now), now
  call('HDEL', BANK, 'run', 'lock', 'lock_until')
  call('HSET', BANK, 'frozen_run', RUN, 'changed', int(now), 'generation', generation, 'era', era)
end

local is_open = bank[1] == RUN
if not is_open and bank[2] ~= RUN then
  freeze()
end
call('HSET', BANK, 'last', int(now), 'offset', int(offset))

local function load_purse(id, owner)
  local key = PREFIX .. 'p:' .. id
  local found = pcall('HMGET', key, 'g', 's', 'h', 's:' .. owner, 'h:' .. owner)
  if found.err then
    return nil
  end
  local purse = { key = key, id = id, is_stale = found[1] ~= generation, was_there = found[1] }
  if purse.is_stale then
    found = {}
  end
  purse.is_known = found[4] and true or false
  purse.s, purse.h = tonumber(found[2] or 0), tonumber(found[3] or 0)
  purse.own_s, purse.own_h = tonumber(found[4] or 0), tonumber(found[5] or 0)
  purse.s_more, purse.h_more, purse.own_s_then, purse.own_h_then = 0, 0, purse.own_s, purse.own_h
  return purse
end

local function hold(purse, amount)
  purse.h, purse.h_more, purse.own_h = purse.h + amount, purse.h_more + amount, purse.own_h + amount
end

local function set_register(purse, spent, held)
  local more = spent - purse.own_s
  purse.s, purse.s_more, purse.own_s = purse.s + more, purse.s_more + more, spent
  hold(purse, held - purse.own_h)
end

local function save_purse(purse, owner, ttl_s)
  if purse.is_stale then
    if purse.was_there then
      call('DEL', purse.key)
    end
    call('HSET', purse.key, 'g', generation)
    if ttl_s > 0 then
      call('EXPIRE', purse.key, int(ttl_s))
    end
  end
  if purse.s_more ~= 0 then
    call('HINCRBY', purse.key, 's', int(purse.s_more))
  end
  if purse.h_more ~= 0 then
    call('HINCRBY', purse.key, 'h', int(purse.h_more))
  end
  if not purse.is_known or purse.own_s ~= purse.own_s_then or purse.own_h ~= purse.own_h_then then
    call('HSET', purse.key, 's:' .. owner, int(purse.own_s), 'h:' .. owner, int(purse.own_h))
  end
  if not purse.is_known then
    call('SADD', PREFIX .. 'in:' .. owner, 'p:' .. purse.id)
  end
end
