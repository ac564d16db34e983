-- The account of a fingerprint, and then its other sign-ups in the order of
-- their acceptance.
local f, most = ARGV[2], tonumber(ARGV[3])
local account = account_of(f)
local reply = {}
if account then reply[1] = person(account) end
for _, id in ipairs(call('ZRANGE', P .. 'of:' .. f, 0, most)) do
  if id ~= account and #reply < most then reply[#reply + 1] = person(id) end
end
return reply
