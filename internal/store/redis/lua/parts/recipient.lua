-- recipient tells whom a mail is for: a sign-up, or the account of those who
-- asked to sign in. The email is empty when there is nobody.
local function recipient(id)
  local s = call('HMGET', P .. 'subject:' .. string.match(id, '^[^.]+'),
    'email', 'asked', 'fingerprint', 'locale', 'muted', 'budget')
  local email, account = s[1], account_of(s[3])
  if s[2] then email = account and call('HGET', P .. 'subject:' .. account, 'email') end
  return { email = email or '', account = account, f = s[3], locale = s[4] or '', muted = s[5], budget = s[6] }
end
