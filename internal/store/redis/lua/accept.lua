local id, first, last, email, key, life = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local more = { fingerprint = ARGV[8], locale = ARGV[9], muted = ARGV[10], consent = ARGV[11], origin = ARGV[12] }
local mails = 13

local former -- whose the key was, when its time is over
if key ~= '' then
  local at, of = string.match(call('GET', P .. 'key:' .. key) or '', '^(%d+) (.+)$')
  if at and now - at < life then
    local p = call('HMGET', P .. 'subject:' .. of, 'used', 'status')
    return { 'repeated', p[1] and p[2] == 'pending' and 1 or 0, person(of) } -- its names were discarded then
  end
  former = of
end
local subject = P .. 'subject:' .. id
if call('HEXISTS', subject, 'status') == 1 then
  return { 'stored', 0, person(id) } -- the same step again: its answer was lost
end
local twice = {}
for i = mails, #ARGV, 3 do
  if twice[ARGV[i]] or find(ARGV[i]) then return redis.error_reply('ERR the mail ' .. ARGV[i] .. ' is owed already') end
  twice[ARGV[i]] = true
end

-- First what could fail, if somebody had meddled with the keys: no script is undone.
local number = call('HINCRBY', P .. 'counts', 'signups', 1)
call('XADD', P .. 'signups', number .. '-0', 'id', id)
local accepted = int(math.floor(now / 1000))
local fields = { 'first', first, 'last', last, 'email', email, 'status', 'pending', 'accepted', accepted }
for name, value in pairs(more) do
  if value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end
call('HSET', subject, unpack(fields))
if more.fingerprint ~= '' then call('ZADD', P .. 'of:' .. more.fingerprint, number, id) end
if key ~= '' then
  if former then call('HDEL', P .. 'subject:' .. former, 'key') end
  call('HSET', subject, 'key', key)
  call('SET', P .. 'key:' .. key, int(now) .. ' ' .. id)
  call('XADD', P .. 'uses', '*', 'key', key, 'at', int(now))
end
for i = mails, #ARGV, 3 do owe(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return { 'stored', 0, { id, first, last, email, 'pending', accepted, '', more.locale, more.consent, more.origin } }
