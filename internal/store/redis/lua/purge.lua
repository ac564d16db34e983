-- One kind of data whose time is over, named by ARGV[2]. Returns how many were
-- looked at (fewer than the limit means that there are no more) and how many
-- are gone.
local kind, keep, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local purges = {}

-- Erases sign-ups that became no account, in the order of their acceptance. Each
-- is judged once, when it is old enough, or cannot come to be purged any more.
-- What was accepted in the future, before the clock was set back, counts from
-- now on.
function purges.signups()
  local judged, stays, looked, gone = call('GET', P .. 'judged') or '0', false, 0, 0
  for _, entry in ipairs(call('XRANGE', P .. 'signups', '(' .. judged .. '-0', '+', 'COUNT', limit)) do
    local id = entry[2][2]
    local s = call('HMGET', P .. 'subject:' .. id, 'status', 'accepted')
    local age = now - num(s[2]) * 1000
    if s[1] == 'pending' and age < 0 then
      call('HSET', P .. 'subject:' .. id, 'accepted', int(math.floor(now / 1000)))
      stays = true
    elseif s[1] == 'pending' and age <= keep then
      break
    elseif s[1] == 'pending' then
      erase(id)
      gone = gone + 1
    end
    if not stays then judged, looked = string.match(entry[1], '^%d+'), looked + 1 end
  end
  call('SET', P .. 'judged', judged)
  return { looked, gone }
end

-- Forgets requests to sign in. The log is like that of idempotency keys.
function purges.requests()
  local looked, gone = 0, 0
  for _, entry in ipairs(call('XRANGE', P .. 'requests', '-', '+', 'COUNT', limit)) do
    local id, at = entry[2][2], entry[2][4]
    local age = now - at
    if age >= 0 and age <= keep then break end
    local q = call('HMGET', P .. 'subject:' .. id, 'asked', 'fingerprint')
    if q[1] == at and age < 0 then
      call('HSET', P .. 'subject:' .. id, 'asked', int(now))
      call('ZADD', P .. 'asked:' .. q[2], int(now), id)
      call('XADD', P .. 'requests', '*', 'id', id, 'at', int(now))
    elseif q[1] == at then
      forget(id, 'its time is over')
      gone = gone + 1
    end
    call('XDEL', P .. 'requests', entry[1])
    looked = looked + 1
  end
  return { looked, gone }
end

function purges.sessions()
  local ids = call('ZRANGEBYSCORE', P .. 'ending', '-inf', int(now), 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do end_session(id, call('HGET', P .. 'session:' .. id, 'account') or '') end
  return { #ids, #ids }
end

return purges[kind]()
