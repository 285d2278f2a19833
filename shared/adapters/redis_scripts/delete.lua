-- Erase a result and leave a tombstone. KEYS: job, mark of a result past its retention. ARGV: retention (ms)
local job = redis.call('HMGET', KEYS[1], 'fp', 'st', 'res', 'exp')
local fp, st, res, exp = unpack(job)
if not st then return {redis.call('EXISTS', KEYS[2]) == 1 and 'deleted' or 'unknown'} end
if st == 'deleted' then return {'deleted'} end
if not res then return {'pending', st, exp} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'fp', fp, 'st', 'deleted')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {'deleted'}
