local OVER = 'the budget of its address is used up'

-- budget opens one for a mail: budgets has, as JSON, the allowances of each, as
-- pairs of a number of mails and a time. There is nothing to open for a mail
-- that has none.
local function budget(f, name, budgets)
  local allowances = f and cjson.decode(budgets)[name]
  if not allowances then return nil end
  return { f = f, name = name, allowances = allowances, times = charges_to(f, name) }
end

-- over tells whether one more mail is too many. What was charged far in the
-- future, before the clock was set back, does not count.
local function over(b)
  for _, a in ipairs(b.allowances) do
    local mails = 0
    for _, at in ipairs(b.times) do
      if math.abs(now - at) < a[2] then mails = mails + 1 end
    end
    if mails >= a[1] then return true end
  end
  return false
end
