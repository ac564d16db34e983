local id, first, last, email, key, life = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])

local function person(of)
  local p = call('HMGET', P .. 'subject:' .. of, 'first', 'last', 'email', 'status', 'accepted')
  return { of, p[1] or '', p[2] or '', p[3] or '', p[4] or '', p[5] or '' }
end

local former -- whose the key was, when its time is over
if key ~= '' then
  local at, of = string.match(call('GET', P .. 'key:' .. key) or '', '^(%d+) (.+)$')
  if at and now - at < life then return { 'repeated', person(of) } end
  former = of
end
local subject = P .. 'subject:' .. id
if call('HEXISTS', subject, 'status') == 1 then
  return { 'stored', person(id) } -- the same step again: its answer was lost
end
local twice = {}
for i = 8, #ARGV, 3 do
  if twice[ARGV[i]] or find(ARGV[i]) then return redis.error_reply('ERR the mail ' .. ARGV[i] .. ' is owed already') end
  twice[ARGV[i]] = true
end

local accepted = int(math.floor(now / 1000))
-- First what could fail, if somebody had meddled with the keys: no script is undone.
call('XADD', P .. 'signups', call('HINCRBY', P .. 'counts', 'signups', 1) .. '-0', 'id', id)
call('HSET', subject, 'first', first, 'last', last, 'email', email, 'status', 'pending', 'accepted', accepted)
if key ~= '' then
  if former then call('HDEL', P .. 'subject:' .. former, 'key') end
  call('HSET', subject, 'key', key)
  call('SET', P .. 'key:' .. key, int(now) .. ' ' .. id)
  call('XADD', P .. 'uses', '*', 'key', key, 'at', int(now))
end
for i = 8, #ARGV, 3 do
  local owed, lane, keeps = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local n = string.format('%012d', call('HINCRBY', P .. 'counts', 'accepted', 1))
  local of, step = string.match(owed, '^([^.]+)%.(.+)$')
  call('HSET', P .. 'subject:' .. of, 'mail:' .. step, n)
  local at, expires = int(now), int(now + keeps)
  call('HSET', P .. 'mail:' .. n, 'id', owed, 'lane', lane, 'created', at, 'keeps', keeps,
    'state', 'due', 'gen', 1, 'at', at, 'expires', expires)
  call('ZADD', P .. 'due:' .. lane, at, n)
  call('ZADD', P .. 'expiring', expires, n)
end
return { 'stored', { id, first, last, email, 'pending', accepted } }
