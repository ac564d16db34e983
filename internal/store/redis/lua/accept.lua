local id, first, last, email, key, form, life = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local more = { fingerprint = ARGV[9], locale = ARGV[10], muted = ARGV[11], consent = ARGV[12], origin = ARGV[13] }
local mails = 14

local former -- whose the key was, when its time is over
if key ~= '' then
  local at, of = key_of(key)
  if at and now - at < life then return { 1, of, at, call('HGET', P .. 'subject:' .. of, 'form') or '' } end
  former = of
end
local subject = P .. 'subject:' .. id
local accepted = call('HGET', subject, 'accepted')
if accepted then return { 0, id, accepted * 1000 } end -- the same step again: its answer was lost
local twice = {}
for i = mails, #ARGV, 3 do
  if twice[ARGV[i]] or find(ARGV[i]) then return redis.error_reply('ERR the mail ' .. ARGV[i] .. ' is owed already') end
  twice[ARGV[i]] = true
end

-- First what could fail, if somebody had meddled with the keys: no script is undone.
local number = call('HINCRBY', P .. 'counts', 'signups', 1)
call('XADD', P .. 'signups', number .. '-0', 'id', id)
local fields = { 'first', first, 'last', last, 'email', email, 'status', 'pending', 'accepted', int(math.floor(now / 1000)) }
for name, value in pairs(more) do
  if value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end
call('HSET', subject, unpack(fields))
if more.fingerprint ~= '' then call('ZADD', P .. 'of:' .. more.fingerprint, number, id) end
if key ~= '' then
  if former then leave_key(former) end
  call('HSET', subject, 'key', key)
  if form ~= '' then call('HSET', subject, 'form', form) end
  put_key(key, int(now), id)
end
for i = mails, #ARGV, 3 do owe(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return { 0, id, int(now) }
