local n = find(ARGV[2])
local m = n and load(n)
if not m then return { 'none' } end
if m.state ~= 'failed' and m.state ~= 'expired' and m.state ~= 'unknown' then return { 'wrong', m.state } end
free(m)
finish(m, 'purged', m.reason)
save(m)
return { 'ok' }
