-- Looks at some sign-ups, from just after a number on: those of whose mails
-- there is none, or one has vanished without being purged.
local after, limit = ARGV[2], tonumber(ARGV[3])
local reply = { tonumber(after) }
local entries = call('XRANGE', P .. 'signups', '(' .. after .. '-0', '+', 'COUNT', limit)
for _, entry in ipairs(entries) do
  local id, found = entry[2][2], false
  for _, n in ipairs(mails_of(id)) do
    found = found or call('EXISTS', P .. 'mail:' .. n) == 1 or call('GETBIT', P .. 'purged', tonumber(n)) == 1
  end
  if not found then reply[#reply + 1] = id end
  reply[1] = tonumber(string.match(entry[1], '^%d+'))
end
return reply
