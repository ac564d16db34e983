local id, holder, op, mint, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local n = find(id)
local m = n and load(n)
if not m or not holds(m, holder, op) or m.off then return 'refused' end
if m.state == 'committing' then return 'ok' end -- made before
if m.state ~= 'sending' then return 'refused' end
pass(m, mint, body)
save(m)
return 'ok'
