-- The call that a run leads has ended. KEYS: flight. ARGV: token, how it ended or '', when (ms), kept for who waited (ms)
local token, ending, ended_at, kept_ms = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'tok') ~= token then return 0 end
redis.call('DEL', KEYS[1])
if ending ~= '' then
  redis.call('HSET', KEYS[1], 'end', ending, 'at', ended_at)
  redis.call('PEXPIRE', KEYS[1], kept_ms)
end
return 1
