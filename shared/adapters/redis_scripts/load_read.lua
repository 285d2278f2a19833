-- The loads that count; older ones are dropped. ARGV: how long one counts (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fresh = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, load = string.match(all[i + 1], '^(%d+) (.*)$')
  if now - at > tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], all[i]) else fresh[#fresh + 1] = load end
end
return fresh
