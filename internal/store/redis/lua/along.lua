-- A page of what goes with an account, with its mails: of its other sign-ups, or
-- of its requests to sign in. Nothing if it is no account any more.
local id, kind, score, member, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local f = call('HGET', P .. 'subject:' .. id, 'fingerprint')
if account_of(f) ~= id then return {} end
local members, found = {}, {}
members, score, member = page(P .. kind .. ':' .. f, score, member, most)
for _, subject in ipairs(members) do
  local one
  if kind == 'of' then
    one = subject ~= id and person(subject)
  else
    local q = call('HMGET', P .. 'subject:' .. subject, 'asked', 'used')
    one = { subject, q[1] or '', q[2] or '' }
  end
  if one then found[#found + 1] = { one, records(subject) } end
end
return { score, member, found }
