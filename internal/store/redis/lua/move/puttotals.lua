if not mine('filling', ARGV[2]) then return 'changed' end
call('HSET', P .. 'counts', 'accepted', ARGV[3], 'copies', ARGV[4], 'differing', ARGV[5],
  'arrived:urgent', ARGV[6], 'arrived:bulk', ARGV[7])
return 'ok'
