-- Prolong a lease; 0 if it belongs to another run. ARGV: token, lease (ms)
local tok = redis.call('HGET', KEYS[1], 'tok')
-- A store that came back empty knows no lease; the run's save will write the job anew.
if not tok then return 1 end
if tok ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'lse', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]))
return 1
