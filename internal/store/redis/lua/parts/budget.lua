-- What was charged to the budgets of an address: charged:F has the times of
-- each, in the order in which they were charged, and no more of them than the
-- largest of its allowances counts.

local OVER = 'the budget of its address is used up'

-- charges_to returns the times of one budget.
local function charges_to(f, budget)
  local times = {}
  for at in string.gmatch(call('HGET', P .. 'charged:' .. f, budget) or '', '%d+') do times[#times + 1] = at end
  return times
end

local function put_charges(f, budget, times)
  if #times > 0 then
    call('HSET', P .. 'charged:' .. f, budget, table.concat(times, ' '))
  else
    call('HDEL', P .. 'charged:' .. f, budget)
  end
end

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

-- charge counts a mail, once and for good.
local function charge(m, b)
  m.charged = 1
  local most = 0
  for _, a in ipairs(b.allowances) do most = math.max(most, a[1]) end
  b.times[#b.times + 1] = int(now)
  while #b.times > most do table.remove(b.times, 1) end
  put_charges(b.f, b.name, b.times)
  call('XADD', P .. 'charges', '*', 'of', b.f, 'budget', b.name, 'at', int(now))
end
