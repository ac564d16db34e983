if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 2 do call('HSET', P .. 'keys', ARGV[i], ARGV[i + 1]) end
return 'ok'
