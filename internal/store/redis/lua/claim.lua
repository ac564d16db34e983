local id, gen, holder, op, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local variant, registered, purse, budgets = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local MADE = { sending = true, expired = true, failed = true, suppressed = true, cancelled = true }
local n = find(id)
local m = n and load(n)
if not m or m.gen ~= gen then return { 'refused' } end

local to, queued = nil, nil
local made = holds(m, holder, op) and MADE[m.state]
if not made then
  queued = m.state == 'queued' and tonumber(m.at)
  if not queued and (m.state ~= 'due' or tonumber(m.at) > now) then return { 'refused' } end
  m.holder, m.op = holder, op
  if tonumber(m.expires) <= now then
    finish(m, 'expired', expired_text(m))
  elseif num(m.claims) >= most then
    finish(m, 'failed', 'poison: claimed ' .. m.claims .. ' times without an outcome')
  elseif variant == '' then
    return { 'nameless' } -- it is of a purpose that the caller does not know
  else
    to = recipient(id)
    local chosen = m.variant or (to.account and registered or variant)
    local b = not m.charged and budget(to.f, to.budget or purse, budgets)
    if mailed_to(to, chosen) == '' then
      finish(m, 'cancelled', 'there is nobody to send it to')
    elseif to.muted then
      finish(m, 'suppressed', to.muted)
    elseif b and over(b) then
      finish(m, 'suppressed', OVER)
    else
      m.variant = chosen
      m.claims = num(m.claims) + 1
      m.state, m.at = 'sending', now
    end
  end
end
if not made then
  save(m)
  if queued then arrived(m.lane, queued) end
  if not call('ZSCORE', P .. 'beats', holder) then call('ZADD', P .. 'beats', 0, holder) end -- a sweep must find it
end
to = to or recipient(id)
return { 'ok', m.state, m.variant or '', mailed_to(to, m.variant), to.locale, num(m.created), tonumber(m.expires) - now, num(m.attempts),
  num(m.claims), num(m.mint), num(m.doubts), m.body or '' }
