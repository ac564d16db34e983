-- What was charged to the budgets of an address: charged:F has the times of
-- each, in the order in which they were charged, and no more of them than the
-- largest of its allowances counts.

-- charges_to returns the times of one budget.
local function charges_to(f, name)
  local times = {}
  for at in string.gmatch(call('HGET', P .. 'charged:' .. f, name) or '', '%d+') do times[#times + 1] = at end
  return times
end

local function put_charges(f, name, times)
  if #times > 0 then
    call('HSET', P .. 'charged:' .. f, name, table.concat(times, ' '))
  else
    call('HDEL', P .. 'charged:' .. f, name)
  end
end
