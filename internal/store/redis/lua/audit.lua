-- Looks at the mails of some numbers. A purged one has nothing but its bit; one
-- that has not even that is left out.
local from, to, dead = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
to = math.min(to, num(call('HGET', P .. 'counts', 'accepted')))
local reply = { to }
for number = from, to do
  local n = string.format('%012d', number)
  local m = call('HMGET', P .. 'mail:' .. n, 'id', 'state', 'at', 'commits', 'doubts', 'holder')
  if m[1] then
    local beat = m[6] and HELD[m[2]] and tonumber(call('ZSCORE', P .. 'beats', m[6]) or nil)
    local attempts = {}
    if num(m[4]) > 0 then attempts = call('HGETALL', P .. 'attempts:' .. n) end
    local overdue, alive, at = 0, 0, tonumber(m[3] or nil)
    if at and m[2] ~= 'unknown' then
      overdue = math.max(0, now - math.max(at, beat or 0))
      if fresh(beat, dead) then alive = 1 end
    end
    reply[#reply + 1] = { number, m[1], m[2], overdue, alive, at and 1 or 0, num(m[4]), num(m[5]), attempts }
  elseif call('GETBIT', P .. 'purged', number) == 1 then
    reply[#reply + 1] = { number, '', 'purged', 0, 0, 0, 0, 0, {} }
  end
end
return reply
