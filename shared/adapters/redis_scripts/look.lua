-- What is known of an id. KEYS: job, mark of a result past its retention. ARGV: channel to wake when the result comes, or ''
local job = redis.call('HMGET', KEYS[1], 'st', 'res', 'exp', 'ch')
local st, res, exp, ch = unpack(job)
if not st then return {redis.call('EXISTS', KEYS[2]) == 1 and 'deleted' or 'unknown'} end
if st == 'deleted' then return {'deleted'} end
if res then return {'finished', res} end
local channel, channels = ARGV[1], ch or ''
if channel ~= '' and not string.find(' ' .. channels .. ' ', ' ' .. channel .. ' ', 1, true) then
  redis.call('HSET', KEYS[1], 'ch', channels == '' and channel or (channels .. ' ' .. channel))
end
return {'pending', st, exp}
