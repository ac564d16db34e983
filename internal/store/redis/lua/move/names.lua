-- The ids of purged mails, which only their subjects know any more: number, id,
-- for some sign-ups from just after a number on. The first value is the number
-- to go on from.
local after, limit = ARGV[2], tonumber(ARGV[3])
local reply = { tonumber(after) }
for _, entry in ipairs(call('XRANGE', P .. 'signups', '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local id = entry[2][2]
  local flat = call('HGETALL', P .. 'subject:' .. id)
  for i = 1, #flat, 2 do
    local step = string.match(flat[i], '^mail:(.+)$')
    if step and call('GETBIT', P .. 'purged', tonumber(flat[i + 1])) == 1 then
      reply[#reply + 1] = tonumber(flat[i + 1])
      reply[#reply + 1] = id .. '.' .. step
    end
  end
  reply[1] = tonumber(string.match(entry[1], '^%d+'))
end
return reply
