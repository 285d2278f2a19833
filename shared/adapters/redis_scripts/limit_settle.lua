-- End a hold. ARGV: id, tokens, nano-dollars ('' keeps what was reserved), '1' if the job never began
local id, tokens, usd, never_began = unpack(ARGV)
if not has('hold:' .. id) then return 0 end
local seq = string.format('%.0f', amount('seq:' .. id))
local is_in_minute = has('min:' .. seq)
if never_began == '1' then
  if is_in_minute then leave_minute(seq) end
else
  if is_in_minute and tokens ~= '' then
    local more = tonumber(tokens) - amount('tok:' .. seq)
    add('tok:' .. seq, more)
    add('tokens', more)
  end
  add('spent', usd == '' and amount('usd:' .. id) or tonumber(usd))
  ends('day', day_end)
end
end_hold(id)
return 1
