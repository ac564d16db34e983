-- Requests to sign in from just after a place in their log on: the place to go
-- on from, empty at the end; and of each its id and its fields. One that was
-- forgotten, or is in the log again further on, is left out.
local after, limit = ARGV[2], tonumber(ARGV[3])
local entries = call('XRANGE', P .. 'requests', '(' .. after, '+', 'COUNT', limit)
local reply = { #entries == limit and entries[limit][1] or '' }
for _, entry in ipairs(entries) do
  local id, at = entry[2][2], entry[2][4]
  local r = call('HMGET', P .. 'subject:' .. id, unpack(REQUEST))
  for i = 1, #REQUEST do r[i] = r[i] or '' end
  if r[1] == at then reply[#reply + 1] = { id, unpack(r) } end
end
return reply
