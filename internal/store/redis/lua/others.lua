-- A page of the sign-ups of a fingerprint that are not its account, in the order
-- of their acceptance.
local f, score, member, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local account, members, found = account_of(f), {}, {}
members, score, member = page(P .. 'of:' .. f, score, member, most)
for _, id in ipairs(members) do
  if id ~= account then found[#found + 1] = person(id) end
end
return { score, member, found }
