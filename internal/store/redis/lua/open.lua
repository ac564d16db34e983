-- Returns the version of the form of what is there, empty for nothing, and the
-- store's mark. A process that is to serve marks a fresh store with its version;
-- and a move from here that had begun is over once one serves here again.
local serves = ARGV[3] == '1'
if serves then call('SETNX', P .. 'version', ARGV[2]) end
local version = call('GET', P .. 'version') or ''
if serves and version == ARGV[2] and call('HGET', P .. 'move', 'stage') == 'leaving' then
  call('HSET', P .. 'move', 'stage', 'stayed')
end
local mark = call('HMGET', P .. 'move', 'stage', 'id', 'place')
return { version, mark[1] or '', mark[2] or '', mark[3] or '' }
