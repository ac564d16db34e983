-- What is held about a sign-up; and whether it is an account, with what that has
-- beside the sign-ups and requests of its address. The step along has those.
local id = ARGV[2]
local of = person(id)
if not of then return {} end
local f = call('HGET', P .. 'subject:' .. id, 'fingerprint')
if account_of(f) ~= id then return { of, records(id), 0, {}, {} } end
local sessions = {}
for _, one in ipairs(call('ZREVRANGE', P .. 'sessions:' .. id, 0, -1)) do
  local s = session(one)
  if s then sessions[#sessions + 1] = shown(s) end
end
return { of, records(id), 1, sessions, call('HGETALL', P .. 'charged:' .. f) }
