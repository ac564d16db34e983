local key, limit = P .. 'due:' .. ARGV[2], tonumber(ARGV[3])
local reply = { -1 }
local numbers = call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, limit)
for _, n in ipairs(numbers) do
  local m = call('HMGET', P .. 'mail:' .. n, 'id', 'gen')
  reply[#reply + 1] = m[1] or ''
  reply[#reply + 1] = m[2] or ''
end
local next = call('ZRANGE', key, #numbers, #numbers, 'WITHSCORES')
if next[2] then reply[1] = math.max(0, next[2] - now) end
return reply
