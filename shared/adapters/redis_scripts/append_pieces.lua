-- Add pieces to the stream of an answer and wake who follows it. KEYS: job, stream
-- ARGV: token, number of the first piece within the run, kept after the last piece (ms), notice, pieces
local token, first, kept_ms, notice = unpack(ARGV, 1, 4)
local job = redis.call('HMGET', KEYS[1], 'tok', 'ch')
if job[1] ~= token then return 0 end

-- An entry's id is its position; it also tells run and number, so that a repeated call adds nothing twice.
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local position, next_number = 0, tonumber(first)
if last then
  position = tonumber(string.match(last[1], '^%d+'))
  if last[2][2] == token then next_number = tonumber(last[2][4]) + 1 end
end
for argument = 5 + math.max(0, next_number - first), #ARGV do
  position = position + 1
  redis.call('XADD', KEYS[2], position .. '-0', 't', token, 'i', first + argument - 5, 'p', ARGV[argument])
end
redis.call('PEXPIRE', KEYS[2], kept_ms)
for channel in string.gmatch(job[2] or '', '%S+') do
  redis.call('PUBLISH', channel, notice)
end
return 1
