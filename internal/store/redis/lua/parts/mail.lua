-- One row of the ledger: the hash mail:N, where N is the mail's number. A field
-- that is missing is 0 or empty. Where a mail stands decides which structures
-- name its number:
--   due, queued            due:LANE, queued:LANE by at; expiring by expires
--   sending, committing    held:INCARNATION by when they were claimed
--   unknown                unknown by at, while a rule will move it
--   given up, or unknown for an operator to decide: dead by dead
--   finished               the log of finished mails
-- Due and queued mails are counted by their structures, all others in counts.

local FINISHED = { sent = true, failed = true, cancelled = true, expired = true, suppressed = true, purged = true }
local HELD = { sending = true, committing = true }
local WAITING = { due = true, queued = true }

-- load returns the row of a number, or nil. What it was is kept in was.
local function load(n)
  local flat = call('HGETALL', P .. 'mail:' .. n)
  if #flat == 0 then return nil end
  local m, was = { n = n }, {}
  for i = 1, #flat, 2 do
    m[flat[i]] = flat[i + 1]
    was[flat[i]] = flat[i + 1]
  end
  m.was = was
  return m
end

local function leave(n, was)
  if WAITING[was.state] then
    call('ZREM', P .. was.state .. ':' .. was.lane, n)
    call('ZREM', P .. 'expiring', n)
    return
  end
  call('HINCRBY', P .. 'counts', was.state, -1)
  if HELD[was.state] then call('ZREM', P .. 'held:' .. was.holder, n) end
  if was.state == 'unknown' then call('ZREM', P .. 'unknown', n) end
  if was.dead then call('ZREM', P .. 'dead', n) end
end

local function enter(m)
  if WAITING[m.state] then
    call('ZADD', P .. m.state .. ':' .. m.lane, m.at, m.n)
    call('ZADD', P .. 'expiring', m.expires, m.n)
    return
  end
  call('HINCRBY', P .. 'counts', m.state, 1)
  if HELD[m.state] then call('ZADD', P .. 'held:' .. m.holder, m.at, m.n) end
  if m.state == 'unknown' and m.at then call('ZADD', P .. 'unknown', m.at, m.n) end
  if m.dead then call('ZADD', P .. 'dead', m.dead, m.n) end
  if FINISHED[m.state] then call('XADD', P .. 'finished', '*', 'n', m.n, 'ended', m.ended) end
end

-- save writes what a step changed, and moves the mail between the structures.
local function save(m)
  local set, gone = {}, {}
  for name, value in pairs(m) do
    if name ~= 'n' and name ~= 'was' then
      if type(value) == 'number' then value = int(value) end
      if value == '' or value == '0' then
        m[name] = nil
      else
        m[name] = value
        if value ~= m.was[name] then
          set[#set + 1] = name
          set[#set + 1] = value
        end
      end
    end
  end
  for name in pairs(m.was) do
    if m[name] == nil then gone[#gone + 1] = name end
  end
  if #set > 0 then call('HSET', P .. 'mail:' .. m.n, unpack(set)) end
  if #gone > 0 then call('HDEL', P .. 'mail:' .. m.n, unpack(gone)) end
  if HELD[m.state] and HELD[m.was.state] and m.holder == m.was.holder then
    call('HINCRBY', P .. 'counts', m.was.state, -1)
    call('HINCRBY', P .. 'counts', m.state, 1)
    return
  end
  leave(m.n, m.was)
  enter(m)
end

-- holds tells whether the claim is the latest one made on the mail. An empty op
-- is nobody's.
local function holds(m, holder, op) return m.op == op and m.holder == holder end

-- free makes every step of the last claim fail from now on.
local function free(m) m.holder, m.op = nil, nil end

-- become_due returns the mail to due at a time. Messages of the generation
-- before mean nothing from now on.
local function become_due(m, at)
  m.state, m.at, m.gen = 'due', at, num(m.gen) + 1
  m.dead, m.ended = nil, nil
end

-- finish ends the mail. Only failed and expired mails are listed as given up.
local function finish(m, state, reason)
  m.state, m.at, m.dead, m.reason, m.ended = state, nil, nil, reason, now
  if state == 'failed' or state == 'expired' then m.dead = now end
end

-- hold leaves an unknown to an operator.
local function hold(m) m.at, m.dead = nil, now end

-- pass takes the mail over the point of no return.
local function pass(m, mint, body)
  if num(m.doubts) > 0 then
    m.copies = num(m.copies) + 1
    call('HINCRBY', P .. 'counts', 'copies', 1)
    if m.body ~= body then call('HINCRBY', P .. 'counts', 'differing', 1) end
  end
  m.state, m.commits = 'committing', num(m.commits) + 1
  m.mint, m.minted, m.body = mint, now, body
end

local function expired_text(m)
  if num(m.doubts) > 0 then
    return 'expired before it could be sent again; whether the attempt before arrived is unknown'
  end
  return 'expired before it could be sent'
end
