-- owe creates a mail that is due now: in the step that causes it, and nowhere
-- else is accepted raised.
local function owe(id, lane, keeps)
  local n = string.format('%012d', call('HINCRBY', P .. 'counts', 'accepted', 1))
  local of, step = string.match(id, '^([^.]+)%.(.+)$')
  call('HSET', P .. 'subject:' .. of, 'mail:' .. step, n)
  local at, expires = int(now), int(now + keeps)
  call('HSET', P .. 'mail:' .. n, 'id', id, 'lane', lane, 'created', at, 'keeps', keeps,
    'state', 'due', 'gen', 1, 'at', at, 'expires', expires)
  call('ZADD', P .. 'due:' .. lane, at, n)
  call('ZADD', P .. 'expiring', expires, n)
end
