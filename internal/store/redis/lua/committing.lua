local id, holder, op, mint, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local n = find(id)
local m = n and load(n)
if not m or not holds(m, holder, op) or m.off then return 'refused' end
if m.state == 'committing' then return 'ok' end -- made before
if m.state ~= 'sending' then return 'refused' end
if num(m.doubts) > 0 then
  m.copies = num(m.copies) + 1
  call('HINCRBY', P .. 'counts', 'copies', 1)
  if m.body ~= body then call('HINCRBY', P .. 'counts', 'differing', 1) end
end
m.state, m.commits = 'committing', num(m.commits) + 1
m.mint, m.minted, m.body = mint, now, body
save(m)
return 'ok'
