-- What one owner uses, in one sorted set: a positive score is the instant (ms) when its member ends, a negative
-- one an amount. The minute is a sliding log, so no window of 60 s ever holds more than the limit.
--   hold:<id> end of a hold · seq:<id> usd:<id> number of its request, nano-dollars it reserves
--   min:<seq> tok:<seq> end of a request's minute, its tokens · day end of the UTC day
--   requests tokens in_flight reserved spent: the sums · seq numbers of requests so far
-- First in every step: what has ended is taken off the sums.
local key = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local day_end = (math.floor(now / 86400000) + 1) * 86400000

local function has(member) return redis.call('ZSCORE', key, member) end
local function amount(member) return -tonumber(has(member) or 0) end
local function add(member, more)
  if more ~= 0 then redis.call('ZINCRBY', key, string.format('%.0f', -more), member) end
end
local function ends(member, at) redis.call('ZADD', key, string.format('%.0f', at), member) end

local function end_hold(id)
  add('in_flight', -1)
  add('reserved', -amount('usd:' .. id))
  redis.call('ZREM', key, 'hold:' .. id, 'seq:' .. id, 'usd:' .. id)
end

local function leave_minute(seq)
  add('requests', -1)
  add('tokens', -amount('tok:' .. seq))
  redis.call('ZREM', key, 'min:' .. seq, 'tok:' .. seq)
end

-- A thousand at once, so that the first step after a busy minute holds up nobody; the next ones take the rest.
local ended = redis.call('ZRANGEBYSCORE', key, '(0', string.format('%.0f', now), 'LIMIT', 0, 1000)
for _, member in ipairs(ended) do
  local kind, name = string.match(member, '^(%a+):?(.*)$')
  if kind == 'hold' then end_hold(name) elseif kind == 'min' then leave_minute(name) else
    redis.call('ZREM', key, 'day', 'spent')
  end
end
