if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 1 + #SESSION do
  local id = ARGV[i]
  local s = put_fields(P .. 'session:' .. id, SESSION, i + 1)
  call('ZADD', P .. 'sessions:' .. s.account, s.opened, id)
  call('ZADD', P .. 'ending', int(math.min(tonumber(s.ends), s.seen + s.idle)), id)
end
return 'ok'
