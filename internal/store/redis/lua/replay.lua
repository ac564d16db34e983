local id = ARGV[2]
local n = find(id)
local m = n and load(n)
if not m then return { 'none' } end
if m.state ~= 'failed' and m.state ~= 'expired' and m.state ~= 'unknown' then return { 'wrong', m.state } end
if recipient(id).email == '' then return { 'erased' } end
free(m)
m.attempts, m.claims, m.off = nil, nil, nil
m.expires = now + num(m.keeps)
become_due(m, now)
save(m)
return { 'ok' }
