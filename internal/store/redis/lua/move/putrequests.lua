if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 1 + #REQUEST do
  local id = ARGV[i]
  local r = put_fields(P .. 'subject:' .. id, REQUEST, i + 1)
  call('XADD', P .. 'requests', '*', 'id', id, 'at', r.asked)
  call('ZADD', P .. 'asked:' .. r.fingerprint, r.asked, id)
end
return 'ok'
