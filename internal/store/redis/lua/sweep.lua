-- One kind of thing that is swept, named by ARGV[2]. Returns how many were
-- looked at (as many as the limit means that there may be more) and how many
-- were moved.
local kind, by, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local dead, stale, pause, expiry = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local copies, life, retention = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local longest, gap, remembered = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local LANES = { 'urgent', 'bulk' }

local function first(key, from, to, most)
  return call('ZRANGEBYSCORE', P .. key, from, to, 'LIMIT', 0, most or limit)
end

-- each makes a step with the mail of each number. A number without a row, which
-- the server has thrown away if it was allowed to, is forgotten: verify names it.
local function each(key, numbers, step)
  for _, n in ipairs(numbers) do
    local m = load(n)
    if m then step(m) else call('ZREM', P .. key, n) end
  end
  return #numbers
end

-- recover takes back some of the mails that an incarnation holds.
local function recover(who, numbers, why)
  return each('held:' .. who, numbers, function(m)
    if HELD[m.state] and m.holder == who then
      take_back(m, why, pause, copies)
    else
      call('ZREM', P .. 'held:' .. who, m.n) -- nothing is made of it but a second mail
    end
  end)
end

-- recover_dead takes back what a dead incarnation holds, and forgets it then.
local function recover_dead(who, most)
  local held = P .. 'held:' .. who
  local done = recover(who, call('ZRANGE', held, 0, most - 1), 'its process died')
  if call('ZCARD', held) == 0 then
    call('ZREM', P .. 'beats', who)
    call('HDEL', P .. 'healthy', who)
  end
  return done
end

local sweeps = {}

-- Recovers what dead incarnations hold, and what a living one has held for
-- longer than it can have use for, if the caller's own view of the store has
-- been good for long enough to judge.
function sweeps.held()
  local healthy = call('HGET', P .. 'healthy', by)
  if not fresh(call('ZSCORE', P .. 'beats', by), gap) or not healthy or now - healthy < dead then return { 0, 0 } end
  local done = 0
  for _, range in ipairs({ { '-inf', '(' .. int(now - dead) }, { '(' .. int(now + dead), '+inf' } }) do
    for _, who in ipairs(first('beats', range[1], range[2])) do
      if done < limit then done = done + recover_dead(who, limit - done) end
    end
  end
  for _, who in ipairs(first('beats', int(now - dead), int(now + dead))) do
    if done < limit then
      done = done + recover(who, first('held:' .. who, '-inf', '(' .. int(now - longest), limit - done), 'its process held it for too long')
    end
  end
  return { done, done }
end

-- Makes a copy of each unknown whose pause is over due.
function sweeps.unknown()
  local copied = 0
  local looked = each('unknown', first('unknown', '-inf', int(now)), function(m)
    if tonumber(m.expires) <= now then
      hold(m)
    else
      free(m)
      become_due(m, now)
      copied = copied + 1
    end
    save(m)
  end)
  return { looked, copied }
end

function sweeps.expired()
  local done = each('expiring', first('expiring', '-inf', int(now)), function(m)
    finish(m, 'expired', expired_text(m))
    save(m)
  end)
  return { done, done }
end

-- Returns mails to due whose message should have come through. They keep their
-- place in the line: the time at which they were sent.
function sweeps.queued()
  local looked, moved = 0, 0
  for _, lane in ipairs(LANES) do
    local before = math.min(now - stale, num(call('HGET', P .. 'counts', 'arrived:' .. lane)))
    local done = each('queued:' .. lane, first('queued:' .. lane, '-inf', '(' .. int(before)), function(m)
      become_due(m, tonumber(m.at))
      save(m)
    end)
    looked, moved = math.max(looked, done), moved + done
  end
  return { looked, moved }
end

-- Brings back what waits for a time that no rule would have set: the clock has
-- been set back. Nothing else depends on two clocks agreeing.
function sweeps.ahead()
  local looked, moved = 0, 0
  local function bring(key, furthest)
    local done = each(key, first(key, '(' .. int(now + furthest), '+inf'), function(m)
      -- A due mail's time is always before its expiry, whatever the settings
      -- were when it was created.
      if m.state ~= 'due' or tonumber(m.at) > now + num(m.keeps) then
        if m.state == 'queued' then become_due(m, now) end
        m.at = now
        save(m)
        moved = moved + 1
      end
    end)
    looked = math.max(looked, done)
  end
  for _, lane in ipairs(LANES) do
    bring('due:' .. lane, expiry)
    bring('queued:' .. lane, stale)
  end
  bring('unknown', pause)
  if moved == 0 then looked = 0 end -- long waits that are right are no reason to look again at once
  return { looked, moved }
end

-- A log is in the order of its times, unless the clock was set back. What comes
-- from the future counts from now on then, and goes to the log's end: it would
-- keep all that is behind it.

-- Forgets idempotency keys, in the order in which they were used.
function sweeps.keys()
  local uses, done = call('XRANGE', P .. 'uses', '-', '+', 'COUNT', limit), 0
  for _, use in ipairs(uses) do
    local key, at = use[2][2], use[2][4]
    local age = now - at
    if age >= 0 and age < life then break end
    local used, of = key_of(key)
    if used == at and age < 0 then
      put_key(key, int(now), of)
    elseif used == at then
      call('DEL', P .. 'key:' .. key)
      leave_key(of)
    end
    call('XDEL', P .. 'uses', use[1])
    done = done + 1
  end
  return { done, done }
end

-- Forgets what was charged to budgets longer ago than any allowance looks back.
function sweeps.charges()
  local entries, done = call('XRANGE', P .. 'charges', '-', '+', 'COUNT', limit), 0
  for _, entry in ipairs(entries) do
    local f, name, at = entry[2][2], entry[2][4], entry[2][6]
    local age = now - at
    if age >= 0 and age < remembered then break end
    local times = charges_to(f, name)
    for i, time in ipairs(times) do
      if time == at and age < 0 then
        times[i] = int(now)
        call('XADD', P .. 'charges', '*', 'of', f, 'budget', name, 'at', int(now))
        break
      elseif time == at then
        table.remove(times, i)
        break
      end
    end
    put_charges(f, name, times)
    call('XDEL', P .. 'charges', entry[1])
    done = done + 1
  end
  return { done, done }
end

-- Purges finished mails whose time is over. A bit by their number remains, and
-- the number under their name, so that nothing ever owns a second mail. The name
-- goes, too, if it is that of a request to sign in which was forgotten.
function sweeps.finished()
  if retention <= 0 then return { 0, 0 } end
  local entries, done, purged = call('XRANGE', P .. 'finished', '-', '+', 'COUNT', limit), 0, 0
  for _, entry in ipairs(entries) do
    local n, ended = entry[2][2], entry[2][4]
    local age = now - ended
    if age >= 0 and age < retention then break end
    local m = load(n)
    local current = m and m.ended == ended
    if current and age < 0 then
      call('HSET', P .. 'mail:' .. n, 'ended', int(now))
      call('XADD', P .. 'finished', '*', 'n', n, 'ended', int(now))
    elseif current then
      leave(n, m.was)
      call('HINCRBY', P .. 'counts', 'purged', 1)
      call('SETBIT', P .. 'purged', tonumber(n), 1)
      call('DEL', P .. 'mail:' .. n, P .. 'attempts:' .. n)
      unname(m.id)
      purged = purged + 1
    end
    call('XDEL', P .. 'finished', entry[1])
    done = done + 1
  end
  return { done, purged }
end

-- How long until the ledger next asks for a sweep by itself; -1 for never.
function sweeps.next()
  local next = -1
  for _, key in ipairs({ 'unknown', 'expiring' }) do
    local at = call('ZRANGE', P .. key, 0, 0, 'WITHSCORES')[2]
    if at then
      local wait = math.max(0, at - now)
      if next < 0 or wait < next then next = wait end
    end
  end
  return { next, 0 }
end

return sweeps[kind]()
