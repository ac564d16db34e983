for i = 2, #ARGV, 2 do
  local n = find(ARGV[i])
  local m = n and call('HMGET', P .. 'mail:' .. n, 'state', 'gen', 'lane')
  if m and m[1] == 'due' and m[2] == ARGV[i + 1] then
    call('HSET', P .. 'mail:' .. n, 'state', 'queued', 'at', int(now))
    call('ZREM', P .. 'due:' .. m[3], n)
    call('ZADD', P .. 'queued:' .. m[3], int(now), n)
  end
end
return 'ok'
