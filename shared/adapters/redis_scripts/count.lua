-- Add to the totals, and to the same sums of these seconds.
-- KEYS: totals, sums of these seconds
-- ARGV: how long those seconds are kept (s), now (ms), then name and amount of each
redis.call('HSETNX', KEYS[1], 'since_ms', ARGV[2])
for argument = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[argument], ARGV[argument + 1])
  redis.call('HINCRBY', KEYS[2], ARGV[argument], ARGV[argument + 1])
end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
