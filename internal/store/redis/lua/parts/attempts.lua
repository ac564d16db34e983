-- The attempts that reached committing and ended otherwise than accepted, in
-- the hash attempts:N. One that is under way or was accepted at once is not
-- there, which is what nearly every mail comes to: it is the one by which the
-- row's commits are more than the hash's fields.

-- become_unknown makes the outcome of the latest attempt unknown: a copy follows
-- after a pause while there may be one, else an operator decides. copies is, as
-- JSON, how many may be made of each variant.
local function become_unknown(m, pause, copies, reason)
  m.state, m.reason = 'unknown', reason
  if m.off or num(m.copies) >= (cjson.decode(copies)[m.variant] or 0) then
    hold(m)
  else
    m.at = now + pause
  end
end

-- uncount_copy takes back what committing counted.
local function uncount_copy(m)
  m.copies = num(m.copies) - 1
  call('HINCRBY', P .. 'counts', 'copies', -1)
end

local function write_attempt(m, attempt)
  call('HSET', P .. 'attempts:' .. m.n, m.commits, cjson.encode(attempt))
end

-- end_attempt writes an attempt down. Once one has ended unknown the doubt
-- stays, whatever becomes of the attempts after it: the person may have that
-- first mail, and must not get another link. A copy that was certainly not
-- delivered is none.
local function end_attempt(m, outcome, counted, reply)
  local copy = num(m.doubts) > 0
  write_attempt(m, { copy = copy, outcome = outcome, counted = counted,
    code = reply.code, enhanced = reply.enhanced, answer = reply.answer })
  if copy and outcome == 'undelivered' then uncount_copy(m) end
  if outcome == 'unknown' then m.doubts = num(m.doubts) + 1 end
end
