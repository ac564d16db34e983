local lane, dead = ARGV[2], tonumber(ARGV[3])
local alive = call('ZRANGEBYSCORE', P .. 'beats', int(now - dead), int(now + dead))
local longest = 0
for _, who in ipairs(alive) do
  longest = math.max(longest, now - num(call('HGET', P .. 'healthy', who) or now))
end
return { now, call('ZCARD', P .. 'queued:' .. lane), num(call('HGET', P .. 'counts', 'arrived:' .. lane)), #alive, longest }
