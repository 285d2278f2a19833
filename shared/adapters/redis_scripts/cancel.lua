-- Mark a pending job for whoever runs it.
local job = redis.call('HMGET', KEYS[1], 'st', 'res', 'exp')
local st, res, exp = unpack(job)
if not st then return {'unknown'} end
if st == 'deleted' then return {'deleted'} end
if res then return {'finished', res} end
redis.call('HSET', KEYS[1], 'can', '1')
return {'pending', st, exp}
