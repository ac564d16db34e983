local name, value, version = ARGV[2], ARGV[3], ARGV[4]
local current = string.match(call('HGET', P .. 'documents', name) or '0 ', '^%d+')
if current ~= version then return 0 end
call('HSET', P .. 'documents', name, int(version + 1) .. ' ' .. value)
return 1
