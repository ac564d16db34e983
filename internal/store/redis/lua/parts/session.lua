-- A session is there until it is ended, or is over by itself: unused for its
-- idle time, or at its end.

local function over_at(s) return math.min(tonumber(s.ends), s.seen + s.idle) end

-- session returns one that is there, or nil.
local function session(id)
  local flat, s = call('HGETALL', P .. 'session:' .. id), { id = id }
  if #flat == 0 then return nil end
  for i = 1, #flat, 2 do s[flat[i]] = flat[i + 1] end
  if now >= over_at(s) then return nil end
  return s
end

-- open_session opens one, that has its id, kind, hash and idle time already.
local function open_session(s, account, life)
  s.seen, s.ends = now, now + life
  call('HSET', P .. 'session:' .. s.id, 'account', account, 'kind', s.kind, 'number', 0, 'hash', s.hash,
    'opened', int(now), 'seen', int(now), 'idle', s.idle, 'ends', int(s.ends))
  call('ZADD', P .. 'sessions:' .. account, int(now), s.id)
  call('ZADD', P .. 'ending', int(over_at(s)), s.id)
end

-- use_session marks one as used now.
local function use_session(s)
  s.seen = int(now)
  call('HSET', P .. 'session:' .. s.id, 'seen', s.seen)
  call('ZADD', P .. 'ending', int(over_at(s)), s.id)
end

local function end_session(id, account)
  call('DEL', P .. 'session:' .. id)
  call('ZREM', P .. 'sessions:' .. account, id)
  call('ZREM', P .. 'ending', id)
end

-- shown is a session as others see it.
local function shown(s)
  return { s.id, s.account, s.kind, s.number, s.hash, s.opened, s.seen, s.ends }
end
