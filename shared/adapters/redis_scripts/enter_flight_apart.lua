-- As enter_flight, where the leader's job may be on another master: who asks has looked at it before.
-- KEYS: answer, flight, totals, sums of these seconds
-- ARGV: token, asked at (ms), time to begin the run (ms), how long those seconds are kept (s), own job,
--   token of a leader that was found dead or ''
local token, asked_at, grace_ms, slice_s, job, dead = unpack(ARGV)
local kept = redis.call('HGET', KEYS[1], 'res')
if kept then return {'hit', kept} end

local flight = redis.call('HMGET', KEYS[2], 'tok', 'job', 'lse', 'end', 'at')
local tok, leader, lse, ending, at = unpack(flight)
if ending and tonumber(at) >= tonumber(asked_at) then return {'hit', ending} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tok and tok ~= token and tok ~= dead then
  if tonumber(lse) > now then return {'following'} end
  return {'look', leader, tok}
end
if tok ~= token then
  redis.call('HINCRBY', KEYS[3], 'cache_misses', 1)
  redis.call('HINCRBY', KEYS[4], 'cache_misses', 1)
  redis.call('EXPIRE', KEYS[4], slice_s)
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'tok', token, 'job', job, 'lse', string.format('%.0f', now + grace_ms))
redis.call('PEXPIRE', KEYS[2], 3700000)
return {'leading'}
