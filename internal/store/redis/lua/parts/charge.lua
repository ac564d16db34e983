-- charged_to opens the budget that a mail is to be charged to, if it has one and
-- was not charged before. A request to sign in names its own; what the others
-- are charged to their purpose says.
local function charged_to(m, name, budgets)
  if m.charged then return nil end
  local s = call('HMGET', P .. 'subject:' .. string.match(m.id, '^[^.]+'), 'fingerprint', 'budget')
  return budget(s[1], s[2] or name, budgets)
end
