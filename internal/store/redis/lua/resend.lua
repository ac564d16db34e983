local id, purpose, lane, away = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local keeps, after, most = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if call('HEXISTS', P .. 'subject:' .. id, 'status') == 0 then return {} end
local p, made = progress(id, purpose, lane, away), 0
if p[3] < most and p[4] >= after then
  owe(id .. '.' .. purpose .. '.' .. int(p[3] + 1), lane, keeps)
  p, made = progress(id, purpose, lane, away), 1
end
p[5] = made
return p
