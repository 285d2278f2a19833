-- Erase a result and leave a tombstone. ARGV: retention (ms)
local job = redis.call('HMGET', KEYS[1], 'fp', 'st', 'res', 'exp')
local fp, st, res, exp = unpack(job)
if not st then return {'unknown'} end
if st == 'deleted' then return {'deleted'} end
if not res then return {'pending', st, exp} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fp', fp, 'st', 'deleted')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'deleted'}
