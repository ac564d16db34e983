if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 9 do
  local number, id, key, used = ARGV[i], ARGV[i + 1], ARGV[i + 7], ARGV[i + 8]
  local subject = P .. 'subject:' .. id
  for j, name in ipairs({ 'first', 'last', 'email', 'status', 'accepted', 'key' }) do
    if ARGV[i + 1 + j] ~= '' then call('HSET', subject, name, ARGV[i + 1 + j]) end
  end
  call('XADD', P .. 'signups', number .. '-0', 'id', id)
  call('HSET', P .. 'counts', 'signups', number)
  if key ~= '' then
    call('SET', P .. 'key:' .. key, used .. ' ' .. id)
    call('XADD', P .. 'uses', '*', 'key', key, 'at', used)
  end
end
return 'ok'
