-- Give an id back. ARGV: claim
local job = redis.call('HMGET', KEYS[1], 'own', 'st')
if job[1] == ARGV[1] and job[2] == 'queued' then redis.call('DEL', KEYS[1]) end
return {'released'}
