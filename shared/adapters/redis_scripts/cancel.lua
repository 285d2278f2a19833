-- Mark a pending job for whoever runs it. KEYS: job, mark of a result past its retention
local job = redis.call('HMGET', KEYS[1], 'st', 'res', 'exp')
local st, res, exp = unpack(job)
if not st then return {redis.call('EXISTS', KEYS[2]) == 1 and 'deleted' or 'unknown'} end
if st == 'deleted' then return {'deleted'} end
if res then return {'finished', res} end
redis.call('HSET', KEYS[1], 'can', '1')
return {'pending', st, exp}
