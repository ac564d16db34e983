local s = session(ARGV[2])
local of = s and person(s.account)
if not of then return {} end
return { shown(s), of }
