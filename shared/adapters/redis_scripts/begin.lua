-- Take the lease of a job. ARGV: fingerprint, token, lease (ms), expires at (ms), asked at (ms) or 0
local job = redis.call('HMGET', KEYS[1], 'fp', 'st', 'res', 'tok', 'lse', 'runs', 'att', 'can', 'again')
local fp, st, res, tok, lse, runs, att, can, again = unpack(job)
local fingerprint, token, lease_ms, expires_at, asked_at = unpack(ARGV)
runs, att, can = tonumber(runs or 0), tonumber(att or 0), can and 1 or 0

if fp and fp ~= fingerprint then return {'conflicting'} end
if st == 'deleted' then return {'deleted'} end
if res then
  -- Somebody asked anew after a failure that may pass; a record that only came again is older than it.
  if again == '0' or tonumber(asked_at) <= tonumber(again) then return {'finished', res} end
  st, runs, tok = 'queued', 0, 'ended'
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease_end = string.format('%.0f', now + lease_ms)
if tok == token then
  redis.call('HSET', KEYS[1], 'lse', lease_end)
  return {'begun', runs, att, can}
end
if lse and tonumber(lse) > now then return {'held', tonumber(lse) - now} end

if st == 'running' then runs = runs + 1 end
redis.call('HSET', KEYS[1], 'fp', fingerprint, 'st', 'running', 'tok', token,
  'lse', lease_end, 'runs', runs, 'exp', expires_at)
if res then redis.call('HDEL', KEYS[1], 'res', 'again', 'ch', 'own') end
if tok == 'ended' then redis.call('HDEL', KEYS[1], 'wres', 'wst', 'wagain', 'wexp') end
redis.call('PEXPIREAT', KEYS[1], expires_at)
return {'begun', runs, att, can}
