-- Returns the version of the form of what is there, empty for nothing, and the
-- store's mark. A process that is to serve marks a fresh store with its version,
-- and one of the form before, which it can read as it is; and a move from here
-- that had begun is over once one serves here again.
local form, serves, before = ARGV[2], ARGV[3] == '1', ARGV[4]
local version = call('GET', P .. 'version') or ''
local stage = call('HGET', P .. 'move', 'stage') or ''
if serves and (version == '' or version == before or version == form) then
  if stage == 'leaving' then
    stage = 'stayed'
    call('HSET', P .. 'move', 'stage', stage)
  end
  if stage == '' or stage == 'stayed' or stage == 'arrived' then
    version = form
    call('SET', P .. 'version', version)
  end
end
local mark = call('HMGET', P .. 'move', 'stage', 'id', 'place')
return { version, mark[1] or '', mark[2] or '', mark[3] or '' }
