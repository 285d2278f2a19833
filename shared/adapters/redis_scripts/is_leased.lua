-- Whether a run has its job. KEYS: job. ARGV: token
local run = redis.call('HMGET', KEYS[1], 'tok', 'lse')
local time = redis.call('TIME')
return run[1] == ARGV[1] and tonumber(run[2] or 0) > time[1] * 1000 + math.floor(time[2] / 1000)
