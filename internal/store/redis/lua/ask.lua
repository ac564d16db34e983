local id, f, budget, locale, muted = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local mail, lane, keeps = ARGV[7], ARGV[8], ARGV[9]
local subject = P .. 'subject:' .. id
if call('HEXISTS', subject, 'asked') == 1 then return 'ok' end -- the same step again
if find(mail) then return redis.error_reply('ERR the mail ' .. mail .. ' is owed already') end

call('XADD', P .. 'requests', '*', 'id', id, 'at', int(now))
call('HSET', subject, 'asked', int(now), 'fingerprint', f, 'budget', budget)
if locale ~= '' then call('HSET', subject, 'locale', locale) end
if muted ~= '' then call('HSET', subject, 'muted', muted) end
call('ZADD', P .. 'asked:' .. f, int(now), id)
owe(mail, lane, keeps)
return 'ok'
