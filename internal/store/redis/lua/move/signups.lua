-- Sign-ups from just after a number on. A key is theirs as long as it is known
-- and was not used by another one since.
local after, limit = ARGV[2], tonumber(ARGV[3])
local reply = {}
for _, entry in ipairs(call('XRANGE', P .. 'signups', '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local id = entry[2][2]
  local s = call('HMGET', P .. 'subject:' .. id, 'first', 'last', 'email', 'status', 'accepted', 'key')
  local used, of = string.match(s[6] and call('GET', P .. 'key:' .. s[6]) or '', '^(%d+) (.+)$')
  if of ~= id then s[6], used = '', '' end
  reply[#reply + 1] = { tonumber(string.match(entry[1], '^%d+')), id,
    s[1] or '', s[2] or '', s[3] or '', s[4] or '', s[5] or '', s[6], used }
end
return reply
