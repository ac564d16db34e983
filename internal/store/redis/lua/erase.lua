local id = ARGV[2]
local subject = P .. 'subject:' .. id
local known = call('HMGET', subject, 'status', 'key')
if not known[1] then return 'none' end
call('HSET', subject, 'status', 'erased')
call('HDEL', subject, 'first', 'last', 'email', 'key')
if known[2] then call('DEL', P .. 'key:' .. known[2]) end
cancel(id, 'the person was erased')
-- Whoever stored what mail servers said should have taken addresses out, and
-- this does not rely on it.
for _, n in ipairs(mails_of(id)) do
  call('HDEL', P .. 'mail:' .. n, 'answer')
  local flat = call('HGETALL', P .. 'attempts:' .. n)
  for i = 1, #flat, 2 do
    local attempt = cjson.decode(flat[i + 1])
    attempt.answer = ''
    call('HSET', P .. 'attempts:' .. n, flat[i], cjson.encode(attempt))
  end
end
return 'ok'
