-- Take a hold if every limit leaves room. ARGV: id, end of the hold (ms), tokens, nano-dollars,
--   then the limits, 0 for none: requests and tokens a minute, in flight, nano-dollars a day
local id = ARGV[1]
local expires_at, tokens, usd = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local most_requests, most_tokens = tonumber(ARGV[5]), tonumber(ARGV[6])
local most_in_flight, most_usd = tonumber(ARGV[7]), tonumber(ARGV[8])

-- How long (ms) until the oldest request, and until so many tokens, have left the minute. Whoever is refused
-- often must not cost much: where thousands wait, the answer is only the soonest.
local function until_free(wanted)
  local first, enough
  for page = 0, 7 do
    local found = redis.call('ZRANGEBYSCORE', key, string.format('(%.0f', now), '+inf', 'WITHSCORES',
      'LIMIT', page * 16, 16)
    for i = 1, #found, 2 do
      local seq = string.match(found[i], '^min:(.*)$')
      if seq then
        enough = found[i + 1] - now
        first = first or enough
        wanted = wanted - amount('tok:' .. seq)
        if wanted <= 0 then return first, enough end
      end
    end
    if #found < 32 then break end
  end
  return first or 0, enough or 0
end

local function full(most, used, more) return most > 0 and used + more > most end

local function standing(admitted, wanted)
  local first, enough = until_free(wanted)
  local spent = amount('spent')
  return {admitted, amount('requests'), amount('tokens'), amount('in_flight'),
    string.format('%.0f', spent + amount('reserved')), string.format('%.0f', spent), first, enough, day_end - now}
end

if has('hold:' .. id) then return standing(1, 0) end
if full(most_requests, amount('requests'), 1) or full(most_tokens, amount('tokens'), tokens)
  or full(most_in_flight, amount('in_flight'), 1) or full(most_usd, amount('spent') + amount('reserved'), usd) then
  return standing(0, most_tokens > 0 and amount('tokens') + tokens - most_tokens or 0)
end

add('seq', 1)
local seq = string.format('%.0f', amount('seq'))
ends('hold:' .. id, expires_at)
ends('min:' .. seq, now + 60000)
add('seq:' .. id, tonumber(seq))
add('usd:' .. id, usd)
add('tok:' .. seq, tokens)
add('requests', 1)
add('tokens', tokens)
add('in_flight', 1)
add('reserved', usd)
redis.call('PEXPIRE', key, 172800000)
return standing(1, 0)
