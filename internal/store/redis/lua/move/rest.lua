-- Brings some mails to rest: first those that somebody holds, as if the holder
-- were dead, which it is; then the queued ones, which keep their place in the
-- line. There may be more.
local run, limit, pause, copies = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
if call('HGET', P .. 'move', 'stage') == 'moved' then return 'ok' end -- it was done
if not mine('leaving', run) then return 'changed' end

local who = call('ZRANGE', P .. 'beats', 0, 0)[1]
if who then
  local held = P .. 'held:' .. who
  for _, n in ipairs(call('ZRANGE', held, 0, limit - 1)) do
    local m = load(n)
    if m and HELD[m.state] and m.holder == who then
      take_back(m, 'its process ended', pause, copies)
    else
      call('ZREM', held, n)
    end
  end
  if call('ZCARD', held) == 0 then
    call('ZREM', P .. 'beats', who)
    call('HDEL', P .. 'healthy', who)
  end
  return 'more'
end

for _, lane in ipairs({ 'urgent', 'bulk' }) do
  local numbers = call('ZRANGE', P .. 'queued:' .. lane, 0, limit - 1)
  for _, n in ipairs(numbers) do
    local m = load(n)
    become_due(m, tonumber(m.at))
    save(m)
  end
  if #numbers > 0 then return 'more' end
end
return 'ok'
