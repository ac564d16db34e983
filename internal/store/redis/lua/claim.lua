local id, gen, holder, op, variant, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local n = find(id)
local m = n and load(n)
if not m or m.gen ~= gen then return { 'refused' } end

local email, queued = '', nil
local made = holds(m, holder, op) and (m.state == 'sending' or m.state == 'expired' or m.state == 'failed')
if not made then
  queued = m.state == 'queued' and tonumber(m.at)
  if not queued and (m.state ~= 'due' or tonumber(m.at) > now) then return { 'refused' } end
  m.holder, m.op = holder, op
  if tonumber(m.expires) <= now then
    finish(m, 'expired', expired_text(m))
  elseif num(m.claims) >= most then
    finish(m, 'failed', 'poison: claimed ' .. m.claims .. ' times without an outcome')
  else
    m.variant = m.variant or variant
    if m.variant == '' then return { 'nameless' } end -- it is of a purpose that the caller does not know
    m.claims = num(m.claims) + 1
    m.state, m.at = 'sending', now
  end
end
if m.state == 'sending' then
  email = call('HGET', P .. 'subject:' .. string.match(id, '^[^.]+'), 'email') or ''
  if email == '' then return { 'refused' } end -- erased
end
if not made then
  save(m)
  if queued then arrived(m.lane, queued) end
  if not call('ZSCORE', P .. 'beats', holder) then call('ZADD', P .. 'beats', 0, holder) end -- a sweep must find it
end
return { 'ok', m.state, m.variant or '', email, num(m.created), tonumber(m.expires) - now, num(m.attempts), num(m.claims),
  num(m.mint), num(m.doubts), m.body or '' }
