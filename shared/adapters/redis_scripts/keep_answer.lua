-- Keep an answer for those who come. KEYS: index, by the end of each, answer. ARGV: answer, model, kept (ms), most answers
local answer, model, kept_ms, most = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], 'res', answer, 'model', model)
redis.call('PEXPIRE', KEYS[2], kept_ms)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + kept_ms), KEYS[2])
-- Too many: those that would end first go first.
local excess = redis.call('ZCARD', KEYS[1]) - tonumber(most)
if excess > 0 then
  local ending = redis.call('ZPOPMIN', KEYS[1], excess)
  for i = 1, #ending, 2 do redis.call('DEL', ending[i]) end
end
return 1
