local id, purpose, lane, keeps, after, most = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
if call('HEXISTS', P .. 'subject:' .. id, 'status') == 0 then return {} end
local p, made = progress(id, purpose), 0
if p.step < most and p.age >= after then
  owe(id .. '.' .. purpose .. '.' .. int(p.step + 1), lane, keeps)
  p, made = progress(id, purpose), 1
end
return { p.state, p.tried, p.step, p.age, made }
