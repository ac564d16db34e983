-- latest returns the highest step of a subject's mails of a purpose, and that
-- mail's number.
local function latest(subject, purpose)
  local prefix, step, n = 'mail:' .. purpose .. '.', 0, nil
  local flat = call('HGETALL', P .. 'subject:' .. subject)
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, #prefix) == prefix then
      local s = tonumber(string.sub(flat[i], #prefix + 1))
      if s > step then step, n = s, flat[i + 1] end
    end
  end
  return step, n
end

-- waits tells whether a mail of a lane that was due before a time is not with a
-- sender yet.
local function waits(lane, before)
  for _, state in ipairs({ 'due:', 'queued:' }) do
    local at = call('ZRANGE', P .. state .. lane, 0, 0, 'WITHSCORES')[2]
    if at and tonumber(at) < tonumber(before) then return true end
  end
  return false
end

-- progress tells how the latest mail is getting on. Of one that was purged
-- nothing is left but that; it is as old as its sign-up then.
local function progress(subject, purpose, lane, away)
  local step, n = latest(subject, purpose)
  local m = n and call('HMGET', P .. 'mail:' .. n, 'state', 'created') or {}
  local created = m[2] or num(call('HGET', P .. 'subject:' .. subject, 'accepted')) * 1000
  local gone = call('GET', P .. 'away')
  local delayed = waits(lane, created) or gone and now - gone < away
  return { m[1] or 'purged', delayed and 1 or 0, step, now - created }
end
