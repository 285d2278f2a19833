-- What every replica said last, and how long ago (ms); what is too old is dropped. ARGV: how old that is (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, report = string.match(all[i + 1], '^(%d+) (.*)$')
  local age = now - at
  if age > tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], all[i]) else told[#told + 1] = {math.max(0, age), report} end
end
return told
