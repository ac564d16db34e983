local key, limit = P .. 'due:' .. ARGV[2], tonumber(ARGV[3])
local reply = { -1 }
local found = 0
for _, n in ipairs(call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, limit)) do
  local m = call('HMGET', P .. 'mail:' .. n, 'id', 'gen')
  if m[1] then
    reply[#reply + 1] = m[1]
    reply[#reply + 1] = m[2]
    found = found + 1
  else
    call('ZREM', key, n) -- thrown away by a server that was allowed to
  end
end
local next = call('ZRANGE', key, found, found, 'WITHSCORES')
if next[2] then reply[1] = math.max(0, next[2] - now) end
return reply
