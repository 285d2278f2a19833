-- Prolong a lease; 0 if it belongs to another run, 2 if the job is to be cut off. ARGV: token, lease (ms)
local job = redis.call('HMGET', KEYS[1], 'tok', 'can')
local tok, can = unpack(job)
-- A store that came back empty knows no lease; the run's save will write the job anew.
if not tok then return 1 end
if tok ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'lse', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]))
return can and 2 or 1
