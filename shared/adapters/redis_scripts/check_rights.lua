-- What this user may not do with our keys and channels. KEYS: a key of nobody. ARGV: channel
local key = KEYS[1]
local needed = {
  {'TIME'}, {'EXISTS', key}, {'GET', key}, {'SET', key, '', 'PX', 1000, 'NX'}, {'DEL', key},
  {'HSET', key, 'f', '1'}, {'HSETNX', key, 'f', '1'}, {'HGET', key, 'f'}, {'HMGET', key, 'f'}, {'HGETALL', key},
  {'HSTRLEN', key, 'f'}, {'HINCRBY', key, 'f', 1}, {'HDEL', key, 'f'},
  {'EXPIRE', key, 1}, {'PEXPIRE', key, 1000}, {'PEXPIREAT', key, 1}, {'PEXPIRETIME', key},
  {'ZADD', key, 1, 'm'}, {'ZINCRBY', key, 1, 'm'}, {'ZSCORE', key, 'm'}, {'ZCARD', key},
  {'ZRANGEBYSCORE', key, 0, 1}, {'ZSCAN', key, 0}, {'ZREM', key, 'm'}, {'ZPOPMIN', key},
  {'ZREMRANGEBYSCORE', key, 0, 1}, {'DEL', key},
  {'XADD', key, '1-0', 'f', 'v'}, {'XRANGE', key, '-', '+'}, {'XREVRANGE', key, '+', '-'}, {'DEL', key},
  {'LPUSH', key, 'v'}, {'LTRIM', key, 0, 0}, {'LRANGE', key, 0, 0}, {'DEL', key},
  {'PUBLISH', ARGV[1], ''},
}
local refused = {}
-- As Redis 7.0 says it, and later ones, and Valkey.
local function is_forbidden(err)
  return string.find(err, 'user executing') or string.find(err, 'NOPERM') or string.find(err, 'ACL failure')
end
for _, words in ipairs(needed) do
  local reply = redis.pcall(unpack(words))
  if type(reply) == 'table' and reply.err and is_forbidden(reply.err) then refused[words[1]] = true end
end
local names = {}
for name in pairs(refused) do names[#names + 1] = name end
table.sort(names)
return names
