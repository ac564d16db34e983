-- Removes some of what is there, from a cursor of SCAN on, and returns the next
-- one; "0" at the end.
local run, cursor = ARGV[2], ARGV[3]
if not mine('filling', run) then return 'changed' end
local scanned = call('SCAN', cursor, 'MATCH', P .. '*', 'COUNT', 500)
for _, key in ipairs(scanned[2]) do
  if key ~= P .. 'move' and key ~= P .. 'version' then call('UNLINK', key) end
end
return scanned[1]
