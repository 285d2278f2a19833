-- Store a result, once, add it to the totals, and wake who waits.
-- KEYS: job, totals, mark that outlives the result, the same sums of these seconds, the owner's last failures if it is one
-- ARGV: token, fingerprint, status, result, when it ended (ms) if it may pass or 0, provider calls, retention (ms), notice,
--   '1' if it comes from another copy, end of the mark (ms from now), how long those seconds are kept (s),
--   name and amount of each total as JSON, and what is told of a failure
local token, fingerprint, status, result, again, attempts, retention_ms, notice, is_copy, mark_ms, slice_s, amounts, failure =
  unpack(ARGV)
local job = redis.call('HMGET', KEYS[1], 'res', 'tok', 'ch', 'fp', 'st', 'att', 'again')
local res, tok, ch, fp, st, att, may_run_again = unpack(job)
local is_final_copy = is_copy == '1' and again == '0'

-- A final copy over a failure that may pass is the result of the run after that failure.
if res and fp == fingerprint and not (is_final_copy and may_run_again ~= '0') then return {'finished', res} end
if st == 'deleted' or (fp and fp ~= fingerprint) then return {'fenced'} end
-- No token: the store came back empty, and whoever brings a result is the first writer. A copy of a final result
-- is true whoever runs now; a copy of a failure that may pass could belong to a run before this one.
if tok and tok ~= token and not is_final_copy then return {'fenced'} end

redis.call('HSET', KEYS[1], 'fp', fingerprint, 'st', status, 'res', result, 'again', again, 'att', attempts, 'tok', token)
redis.call('HDEL', KEYS[1], 'lse', 'can')
redis.call('PEXPIRE', KEYS[1], retention_ms)
redis.call('SET', KEYS[3], '', 'PX', mark_ms)
-- A run that could not know of those before it tells fewer calls than they made.
local calls = math.max(0, attempts - (att or 0))
local function add(name, amount)
  redis.call('HINCRBY', KEYS[2], name, amount)
  redis.call('HINCRBY', KEYS[4], name, amount)
end
if calls > 0 then add('provider_calls', calls) end
for name, amount in pairs(cjson.decode(amounts)) do add(name, amount) end
redis.call('EXPIRE', KEYS[4], slice_s)
if KEYS[5] then
  redis.call('LPUSH', KEYS[5], failure)
  redis.call('LTRIM', KEYS[5], 0, 19)
  redis.call('PEXPIRE', KEYS[5], mark_ms)
end
for channel in string.gmatch(ch or '', '%S+') do
  redis.call('PUBLISH', channel, notice .. result)
end
return {'saved'}
