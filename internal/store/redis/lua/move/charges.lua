-- What was charged to budgets, from just after a place in the log on: the place
-- to go on from, empty at the end; and of each whose it was, the budget, and
-- when. The log may know more than what is counted.
local after, limit = ARGV[2], tonumber(ARGV[3])
local entries = call('XRANGE', P .. 'charges', '(' .. after, '+', 'COUNT', limit)
local reply = { #entries == limit and entries[limit][1] or '' }
for _, entry in ipairs(entries) do
  local f, budget, at = entry[2][2], entry[2][4], entry[2][6]
  local counted = ' ' .. (call('HGET', P .. 'charged:' .. f, budget) or '') .. ' '
  if string.find(counted, ' ' .. at .. ' ', 1, true) then reply[#reply + 1] = { f, budget, at } end
end
return reply
