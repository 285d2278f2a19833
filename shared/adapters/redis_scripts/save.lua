-- Store a result, once, and wake who waits.
-- ARGV: token, fingerprint, status, result, '1' if it may run again, provider calls, retention (ms), notice
local token, fingerprint, status, result, again, attempts, retention_ms, notice = unpack(ARGV)
local job = redis.call('HMGET', KEYS[1], 'res', 'tok', 'ch', 'fp')
local res, tok, ch, fp = unpack(job)

if res and fp == fingerprint then return {'finished', res} end
-- No token: the store came back empty, and whoever brings a result is the first writer.
if (tok and tok ~= token) or (fp and fp ~= fingerprint) then return {'fenced'} end

redis.call('HSET', KEYS[1], 'fp', fingerprint, 'st', status, 'res', result, 'again', again, 'att', attempts, 'tok', token)
redis.call('HDEL', KEYS[1], 'lse')
redis.call('PEXPIRE', KEYS[1], retention_ms)
for channel in string.gmatch(ch or '', '%S+') do
  redis.call('PUBLISH', channel, notice .. result)
end
return {'saved'}
