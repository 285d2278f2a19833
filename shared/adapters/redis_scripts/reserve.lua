-- Claim an id. One hash a job:
--   fp fingerprint · st status · own claim · exp end of the unfinished job (ms) · ch channels of who waits
--   tok token and lse end (ms) of the lease · runs that never ended · att provider calls of runs that ended
--   can '1' if it is to be cut off · res the result · again when it ended (ms) if it is a failure that may pass
--   wres wst wagain wexp result, status, end and expiry (ms) of the failure that was here, until the next run begins
-- ARGV: fingerprint, claim, channel or '', expires at (ms), prefix of this process's claims or ''
local job = redis.call('HMGET', KEYS[1], 'fp', 'st', 'own', 'res', 'again', 'exp', 'lse', 'ch', 'runs')
local fp, st, own, res, again, exp, lse, ch, runs = unpack(job)
local fingerprint, claim, channel, expires_at, mine = unpack(ARGV)

local function reserve(channels, unfinished_runs, token)
  -- HSET first: a store without memory refuses it, but not once a script has written.
  redis.call('HSET', KEYS[1], 'fp', fingerprint, 'st', 'queued', 'own', claim, 'exp', expires_at,
    'ch', channels, 'runs', unfinished_runs, 'tok', token or '')
  redis.call('HDEL', KEYS[1], 'res', 'again', 'lse', 'can', token and '' or 'tok')
  redis.call('PEXPIREAT', KEYS[1], expires_at)
  return {'reserved'}
end

if not fp then return reserve(channel, 0) end
if fp ~= fingerprint then return {'conflicting'} end
if st == 'deleted' then return {'deleted'} end
if own == claim and st == 'queued' then return {'reserved'} end
if res then
  -- The run that failed has had its say: with this token in place it cannot store its failure again.
  if again ~= '0' then
    local kept_until = redis.call('PEXPIRETIME', KEYS[1])
    redis.call('HSET', KEYS[1], 'wres', res, 'wst', st, 'wagain', again, 'wexp', kept_until)
    return reserve(channel, 0, 'ended')
  end
  return {'finished', res}
end

local channels = ch or ''
if channel ~= '' and not string.find(' ' .. channels .. ' ', ' ' .. channel .. ' ', 1, true) then
  channels = channels == '' and channel or (channels .. ' ' .. channel)
  redis.call('HSET', KEYS[1], 'ch', channels)
end

-- Where the queue dies with its process, a job of another process that nobody runs is nobody's.
if mine ~= '' and string.sub(own or '', 1, #mine) ~= mine then
  local now = redis.call('TIME')
  if tonumber(lse or 0) < now[1] * 1000 + now[2] / 1000 then
    return reserve(channels, tonumber(runs or 0) + (st == 'running' and 1 or 0))
  end
end
return {'pending', st, exp}
