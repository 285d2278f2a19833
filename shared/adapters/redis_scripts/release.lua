-- Give an id back: a failure that the claim replaced is as it was, else nobody knows the id. ARGV: claim
local job = redis.call('HMGET', KEYS[1], 'own', 'st', 'wres', 'wst', 'wagain', 'wexp')
local own, st, res, failed_st, again, kept_until = unpack(job)
if own ~= ARGV[1] or st ~= 'queued' then return {'released'} end
if res then
  redis.call('HSET', KEYS[1], 'res', res, 'st', failed_st, 'again', again, 'tok', 'ended')
  redis.call('HDEL', KEYS[1], 'wres', 'wst', 'wagain', 'wexp', 'own', 'exp', 'ch', 'can')
  redis.call('PEXPIREAT', KEYS[1], kept_until)
else
  redis.call('DEL', KEYS[1])
end
return {'released'}
