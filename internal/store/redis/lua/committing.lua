local id, holder, op, mint, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local purse, budgets = ARGV[7], ARGV[8]
local n = find(id)
local m = n and load(n)
if not m or not holds(m, holder, op) or m.off then return 'refused' end
if m.state == 'committing' then return 'ok' end -- made before
if m.state ~= 'sending' then return 'refused' end
local b = charged_to(m, purse, budgets)
if b and over(b) then -- it was used up since the claim
  free(m)
  finish(m, 'suppressed', OVER)
  save(m)
  return 'refused'
end
if b then charge(m, b) end
pass(m, mint, body)
save(m)
return 'ok'
