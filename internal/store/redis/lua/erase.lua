local id = ARGV[2]
local s = call('HMGET', P .. 'subject:' .. id, 'status', 'fingerprint')
if not s[1] then return 'none' end
if s[1] == 'erased' then return 'ok' end -- a mail owed since then ends at its claim, as any other of nobody's
local f = s[2]
if account_of(f) == id then
  call('DEL', P .. 'account:' .. f)
  for _, other in ipairs(call('ZRANGE', P .. 'of:' .. f, 0, -1)) do erase(other) end
  for _, request in ipairs(call('ZRANGE', P .. 'asked:' .. f, 0, -1)) do forget(request, 'the person was erased') end
  for _, session in ipairs(call('ZRANGE', P .. 'sessions:' .. id, 0, -1)) do end_session(session, id) end
end
erase(id)
return 'ok'
