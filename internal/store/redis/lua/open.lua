-- Marks a fresh store with the version of its form, and returns that of what is
-- there, and the store's mark. A move from here that had begun is over once a
-- process serves here again.
call('SETNX', P .. 'version', ARGV[2])
local version = call('GET', P .. 'version')
if version == ARGV[2] and call('HGET', P .. 'move', 'stage') == 'leaving' then
  call('HSET', P .. 'move', 'stage', 'stayed')
end
local mark = call('HMGET', P .. 'move', 'stage', 'id', 'place')
return { version, mark[1] or '', mark[2] or '', mark[3] or '' }
