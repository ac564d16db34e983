local lane, dead = ARGV[2], tonumber(ARGV[3])
return { now, call('ZCARD', P .. 'queued:' .. lane), num(call('HGET', P .. 'counts', 'arrived:' .. lane)),
  call('ZCOUNT', P .. 'beats', int(now - dead), int(now + dead)) }
