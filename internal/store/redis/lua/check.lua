local id, holder, op, dead = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local n = find(id)
local m = n and load(n)
if not m or not holds(m, holder, op) or m.off or m.state ~= 'committing' then return 'refused' end
if not fresh(call('ZSCORE', P .. 'beats', holder), dead) then return 'stale' end
return 'ok'
