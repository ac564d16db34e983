-- All that is held about a sign-up; and of an account, about its address.
local id = ARGV[2]
local of = person(id)
if not of then return {} end
local f = call('HGET', P .. 'subject:' .. id, 'fingerprint')
local others, mails, sessions, requests, charged = {}, {}, {}, {}, {}

local function add_mails(subject)
  local flat = call('HGETALL', P .. 'subject:' .. subject)
  for i = 1, #flat, 2 do
    local step = string.match(flat[i], '^mail:(.+)$')
    if step then
      local m = call('HMGET', P .. 'mail:' .. flat[i + 1], 'variant', 'state', 'created', 'attempts', 'reason', 'phase', 'code',
        'enhanced', 'answer')
      for j = 1, 9 do m[j] = m[j] or '' end
      if m[2] == '' then m[2] = 'purged' end
      mails[#mails + 1] = { flat[i + 1], { subject .. '.' .. step, unpack(m) } }
    end
  end
end

add_mails(id)
if account_of(f) == id then
  for _, other in ipairs(call('ZRANGE', P .. 'of:' .. f, 0, -1)) do
    if other ~= id then
      others[#others + 1] = person(other)
      add_mails(other)
    end
  end
  for _, request in ipairs(call('ZRANGE', P .. 'asked:' .. f, 0, -1)) do
    local q = call('HMGET', P .. 'subject:' .. request, 'asked', 'used')
    requests[#requests + 1] = { request, q[1] or '', q[2] or '' }
    add_mails(request)
  end
  for _, one in ipairs(call('ZREVRANGE', P .. 'sessions:' .. id, 0, -1)) do
    local s = session(one)
    if s then sessions[#sessions + 1] = shown(s) end
  end
  charged = call('HGETALL', P .. 'charged:' .. f)
end
table.sort(mails, function(a, b) return a[1] < b[1] end) -- by number: in the order in which they were owed
for i, m in ipairs(mails) do mails[i] = m[2] end
return { of, others, mails, sessions, requests, charged }
