if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 3 do call('HSET', P .. 'documents', ARGV[i], ARGV[i + 1] .. ' ' .. ARGV[i + 2]) end
return 'ok'
