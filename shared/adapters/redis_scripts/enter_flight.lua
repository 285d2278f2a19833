-- Lead a call, unless its answer is kept or somebody makes it. KEYS: answer, flight, job of who asks, totals, sums of
-- these seconds
-- A flight is a hash: tok token, job and lse first lease (ms) of who leads · end how it ended and at when (ms)
-- ARGV: token, asked at (ms), time to begin the run (ms), how long those seconds are kept (s)
local token, asked_at, grace_ms, slice_s = unpack(ARGV)
local kept = redis.call('HGET', KEYS[1], 'res')
if kept then return {'hit', kept} end

local flight = redis.call('HMGET', KEYS[2], 'tok', 'job', 'lse', 'end', 'at')
local tok, leader, lse, ending, at = unpack(flight)
if ending and tonumber(at) >= tonumber(asked_at) then return {'hit', ending} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tok and tok ~= token then
  local run = redis.call('HMGET', leader, 'tok', 'lse')
  if tonumber(lse) > now or (run[1] == tok and tonumber(run[2] or 0) > now) then return {'following'} end
end
if tok ~= token then
  redis.call('HINCRBY', KEYS[4], 'cache_misses', 1)
  redis.call('HINCRBY', KEYS[5], 'cache_misses', 1)
  redis.call('EXPIRE', KEYS[5], slice_s)
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'tok', token, 'job', KEYS[3], 'lse', string.format('%.0f', now + grace_ms))
redis.call('PEXPIRE', KEYS[2], 3700000)
return {'leading'}
