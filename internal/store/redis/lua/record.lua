local id, holder, op = ARGV[2], ARGV[3], ARGV[4]
local r = { to = ARGV[5], after = tonumber(ARGV[6]), counts = ARGV[7] == '1', drained = ARGV[8] == '1', reason = ARGV[9],
  phase = ARGV[10], code = tonumber(ARGV[11]), enhanced = ARGV[12], answer = ARGV[13] }
local pause, copies, purse, budgets = tonumber(ARGV[14]), ARGV[15], ARGV[16], ARGV[17]
local away, answered = ARGV[18] == '1', ARGV[19] == '1' -- what was heard of the mail server
local OUTCOME = { sent = 'accepted', due = 'undelivered', failed = 'undelivered', unknown = 'unknown' }

local n = find(id)
local m = n and load(n)
if not m or not holds(m, holder, op) then return { 'refused' } end

if m.off then -- perhaps because its subject was erased: nothing that servers said is kept of that
  local s = call('HMGET', P .. 'subject:' .. string.match(id, '^[^.]+'), 'status', 'asked')
  if (s[1] or 'erased') == 'erased' and not s[2] then r.answer = '' end
end

-- count_claim counts the attempt, and forgets the claims without an outcome: a
-- drained one was not used, any other has an outcome now.
local function count_claim(counts)
  if counts then m.attempts = num(m.attempts) + 1 end
  if not r.drained then
    m.claims = 0
  elseif num(m.claims) > 0 then
    m.claims = num(m.claims) - 1
  end
end

-- settle moves the mail where the result says, unless it was called off or has
-- run out of time.
local function settle()
  m.phase, m.code, m.enhanced, m.answer = r.phase, r.code, r.enhanced, r.answer
  local at = now + r.after
  if r.to == 'sent' then
    finish(m, 'sent', '')
  elseif r.to == 'unknown' then
    become_unknown(m, pause, copies, r.reason)
  elseif m.off then
    finish(m, 'cancelled', m.reason)
  elseif r.to == 'failed' then
    finish(m, 'failed', r.reason)
  elseif at >= tonumber(m.expires) then
    finish(m, 'expired', 'expired before the next attempt; the last one: ' .. r.reason)
  else
    m.reason = r.reason
    become_due(m, at)
  end
  save(m)
end

local steps = {}

-- A claim that never reached the point of no return. If its holder says that
-- the mail was submitted, it was: the store has lost that it had passed, and
-- that is made up for, with the mint that was used then.
function steps.sending()
  if r.to == 'sent' or r.to == 'unknown' then
    local mint = num(m.mint)
    if num(m.doubts) == 0 or mint == 0 then mint = mint + 1 end
    local b = charged_to(m, purse, budgets)
    if b then charge(m, b) end
    pass(m, mint, m.body)
    return steps.committing()
  end
  count_claim(r.counts)
  settle()
end

-- A claim whose dot may have been written.
function steps.committing()
  local outcome = OUTCOME[r.to]
  if outcome ~= 'accepted' then end_attempt(m, outcome, r.counts, r) end
  count_claim(r.counts)
  settle()
end

-- What became of an attempt that was unknown.
function steps.unknown()
  if r.to == 'unknown' then return end
  local attempt = cjson.decode(call('HGET', P .. 'attempts:' .. n, m.commits))
  attempt.outcome, attempt.code, attempt.enhanced, attempt.answer = OUTCOME[r.to], r.code, r.enhanced, r.answer
  write_attempt(m, attempt)
  if attempt.copy and attempt.outcome == 'undelivered' then uncount_copy(m) end
  m.doubts = num(m.doubts) - 1
  count_claim(r.counts and not attempt.counted)
  settle()
end

local step = steps[m.state]
if step then
  if not OUTCOME[r.to] then return { 'wrong', m.state } end
  step()
end -- otherwise it was recorded before
if away then
  call('SET', P .. 'away', int(now))
elseif answered then
  call('DEL', P .. 'away')
end
return { 'ok', m.state }
