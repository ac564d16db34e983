local REGISTERED = 'already-registered'

-- account_email returns the address of an account as it was confirmed, or empty.
local function account_email(account)
  return account and call('HGET', P .. 'subject:' .. account, 'email') or ''
end

-- mailed_to tells where a mail of a variant goes: one that says that there is an
-- account goes to that. The sign-up may spell the local part differently, and
-- where that matters (RFC 5321 section 2.4) its address is somebody else's.
local function mailed_to(to, variant)
  if variant == REGISTERED then return account_email(to.account) end
  return to.email
end

-- opens tells whether a mail that went to an address may open a session of the
-- account of that, if there is one: not if it went to another spelling. Only the
-- local part can differ. The domain is sent in one form, however it was typed.
local function opens(variant, email, account)
  if not account or variant == REGISTERED then return true end
  return string.match(email, '^(.*)@') == string.match(account_email(account), '^(.*)@')
end
