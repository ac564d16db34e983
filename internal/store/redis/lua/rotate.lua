local id, number, hash, next, grace = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], tonumber(ARGV[6])
local s = session(id)
local current = s and tonumber(s.number)
if not s or s.kind ~= 'api' or number < 0 or number > current then return { 'none' } end
if number == current then
  if hash ~= s.hash then return { 'none' } end
  s.before, s.hash, s.number = s.hash, next, int(number + 1)
  call('HSET', P .. 'session:' .. id, 'before', s.before, 'hash', s.hash, 'number', s.number, 'rotated', int(now))
  use_session(s)
  return { 'ok', shown(s) }
end
if number == current - 1 then
  if hash ~= s.before then return { 'none' } end
  if math.abs(now - s.rotated) <= grace then return { 'ok', shown(s) } end
end
end_session(id, s.account)
return { 'reused' }
