-- Replaces the mark by another, if it is the expected one and nobody uses the
-- store. What a store is filled with is of the form that this program writes,
-- whatever was there before.
local dead, version, run = tonumber(ARGV[2]), ARGV[3], ARGV[4]
local mark = call('HMGET', P .. 'move', 'stage', 'id', 'place')
for i = 1, 3 do
  if (mark[i] or '') ~= ARGV[4 + i] then return 'changed' end
end
if call('ZCOUNT', P .. 'beats', int(now - dead), int(now + dead)) > 0 then return 'used' end
call(ARGV[8] == 'filling' and 'SET' or 'SETNX', P .. 'version', version)
call('HSET', P .. 'move', 'stage', ARGV[8], 'id', ARGV[9], 'place', ARGV[10], 'run', run)
return 'ok'
