-- Sign-ups from just after a number on: number, id, when their key was used, and
-- their fields. A key is theirs as long as it is known and was not used by
-- another one since.
local after, limit = ARGV[2], tonumber(ARGV[3])
local reply = {}
for _, entry in ipairs(call('XRANGE', P .. 'signups', '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local id = entry[2][2]
  local s = call('HMGET', P .. 'subject:' .. id, unpack(SIGN_UP))
  for i = 1, #SIGN_UP do s[i] = s[i] or '' end
  local key = s[#SIGN_UP]
  local used, of = key_of(key)
  if of ~= id then s[#SIGN_UP - 1], s[#SIGN_UP], used = '', '', '' end
  reply[#reply + 1] = { tonumber(string.match(entry[1], '^%d+')), id, used, unpack(s) }
end
return reply
