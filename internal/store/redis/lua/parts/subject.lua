-- mails_of returns the numbers of a subject's mails: a handful.
local function mails_of(subject)
  local flat, numbers = call('HGETALL', P .. 'subject:' .. subject), {}
  for i = 1, #flat, 2 do
    if string.sub(flat[i], 1, 5) == 'mail:' then numbers[#numbers + 1] = flat[i + 1] end
  end
  return numbers
end

-- cancel calls off what is not finished, and returns how many were not called
-- off before. A mail in committing stays there: its holder finds out.
local function cancel(subject, reason)
  local done = 0
  for _, n in ipairs(mails_of(subject)) do
    local m = load(n)
    if m and not FINISHED[m.state] and not (m.state == 'committing' and m.off) then
      if m.state == 'committing' then
        m.reason = reason
      else
        free(m)
        finish(m, 'cancelled', reason)
      end
      m.off, m.gen = 1, num(m.gen) + 1
      save(m)
      done = done + 1
    end
  end
  return done
end
