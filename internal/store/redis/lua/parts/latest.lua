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

-- progress tells how the latest mail is getting on. Of one that was purged
-- nothing is left but that; it is as old as its sign-up then.
local function progress(subject, purpose)
  local step, n = latest(subject, purpose)
  local m = n and call('HMGET', P .. 'mail:' .. n, 'state', 'created', 'attempts', 'phase') or {}
  local created = m[2] or num(call('HGET', P .. 'subject:' .. subject, 'accepted')) * 1000
  return { state = m[1] or 'purged', tried = (num(m[3]) > 0 or m[4]) and 1 or 0, step = step, age = now - created }
end
