if call('HEXISTS', P .. 'subject:' .. ARGV[2], 'status') == 0 then return {} end
local p = progress(ARGV[2], ARGV[3])
return { p.state, p.tried, p.step, p.age }
