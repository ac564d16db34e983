if not mine('filling', ARGV[2]) then return 'changed' end
for i = 3, #ARGV, 3 do
  local f, budget, at = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local before = call('HGET', P .. 'charged:' .. f, budget)
  call('HSET', P .. 'charged:' .. f, budget, before and before .. ' ' .. at or at)
  call('XADD', P .. 'charges', '*', 'of', f, 'budget', budget, 'at', at)
end
return 'ok'
