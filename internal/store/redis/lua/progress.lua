if call('HEXISTS', P .. 'subject:' .. ARGV[2], 'status') == 0 then return {} end
return progress(ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]))
