-- Goes through what an incarnation holds, from a cursor on, and returns the next
-- one; "0" at the end. What it left in committing keeps it on the list of the
-- dead, for a sweep to find.
local by, cursor, pause, copies = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local held = P .. 'held:' .. by
call('ZADD', P .. 'beats', 0, by)
call('HDEL', P .. 'healthy', by)
local scanned = call('ZSCAN', held, cursor, 'COUNT', 100)
for i = 1, #scanned[2], 2 do
  local m = load(scanned[2][i])
  if m and m.state == 'sending' then take_back(m, 'its process ended', pause, copies) end
end
if scanned[1] == '0' and call('ZCARD', held) == 0 then call('ZREM', P .. 'beats', by) end
return scanned[1]
