-- Adds sign-ups, each as number, id, when its key was used, and its fields. Those
-- that are confirmed are the accounts.
if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 3 + #SIGN_UP do
  local number, id, used = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local s = put_fields(P .. 'subject:' .. id, SIGN_UP, i + 3)
  call('XADD', P .. 'signups', number .. '-0', 'id', id)
  call('HSET', P .. 'counts', 'signups', number)
  if s.key then put_key(s.key, used, id) end
  if s.fingerprint then
    call('ZADD', P .. 'of:' .. s.fingerprint, number, id)
    if s.status == 'confirmed' then call('SET', P .. 'account:' .. s.fingerprint, id) end
  end
end
return 'ok'
