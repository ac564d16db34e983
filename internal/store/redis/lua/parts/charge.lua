-- charged_to opens the budget that a mail is to be charged to, if it has one and
-- was not charged before. A request to sign in names its own; what the others
-- are charged to their purpose says.
local function charged_to(m, name, budgets)
  if m.charged then return nil end
  local s = call('HMGET', P .. 'subject:' .. string.match(m.id, '^[^.]+'), 'fingerprint', 'budget')
  return budget(s[1], s[2] or name, budgets)
end

-- charge counts a mail, once and for good.
local function charge(m, b)
  local most = 0
  for _, a in ipairs(b.allowances) do most = math.max(most, a[1]) end
  b.times[#b.times + 1] = int(now)
  while #b.times > most do table.remove(b.times, 1) end
  put_charges(b.f, b.name, b.times)
  call('XADD', P .. 'charges', '*', 'of', b.f, 'budget', b.name, 'at', int(now))
  m.charged = 1
end
