local p = call('HMGET', P .. 'subject:' .. ARGV[2], 'first', 'last', 'email', 'status', 'accepted')
if not p[4] or p[4] == 'erased' then return {} end
return { ARGV[2], p[1] or '', p[2] or '', p[3], p[4], p[5] }
