-- The counts as name, value, name, value; and how long the oldest due mail waits.
local reply = call('HGETALL', P .. 'counts')
local oldest = 0
for _, lane in ipairs({ 'urgent', 'bulk' }) do
  for _, state in ipairs({ 'due', 'queued' }) do
    reply[#reply + 1] = state .. ':' .. lane
    reply[#reply + 1] = call('ZCARD', P .. state .. ':' .. lane)
  end
  local at = call('ZRANGE', P .. 'due:' .. lane, 0, 0, 'WITHSCORES')[2]
  if at then oldest = math.max(oldest, now - at) end
end
reply[#reply + 1] = 'oldest'
reply[#reply + 1] = oldest
return reply
