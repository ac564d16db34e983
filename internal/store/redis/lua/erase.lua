-- Erases a sign-up; and of an account, before it, up to most of the sign-ups and
-- requests to sign in that go with it. It is 'more' while there are others: the
-- account stays until they are gone, so that whoever was not answered can ask again.
local id, most = ARGV[2], tonumber(ARGV[3])
local s = call('HMGET', P .. 'subject:' .. id, 'status', 'fingerprint')
if not s[1] then return 'none' end
if s[1] == 'erased' then return 'ok' end -- a mail owed since then ends at its claim, as any other of nobody's
local f = s[2]
if account_of(f) == id then
  local of, asked, done = P .. 'of:' .. f, P .. 'asked:' .. f, 0
  for _, other in ipairs(call('ZRANGE', of, 0, most + 1)) do -- the account is one of them, and one tells of more
    if other ~= id then
      if done == most then return 'more' end
      erase(other)
      call('ZREM', of, other) -- even if nothing else is left of it
      done = done + 1
    end
  end
  for _, request in ipairs(call('ZRANGE', asked, 0, most - done)) do
    if done == most then return 'more' end
    forget(request, 'the person was erased')
    call('ZREM', asked, request)
    done = done + 1
  end
  call('DEL', P .. 'account:' .. f)
  for _, session in ipairs(call('ZRANGE', P .. 'sessions:' .. id, 0, -1)) do end_session(session, id) end
end
erase(id)
return 'ok'
