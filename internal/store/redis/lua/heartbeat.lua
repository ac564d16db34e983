local by, gap = ARGV[2], tonumber(ARGV[3])
if call('EXISTS', P .. 'version') == 0 then return 'gone' end
local healthy = now
if fresh(call('ZSCORE', P .. 'beats', by), gap) then
  healthy = math.min(num(call('HGET', P .. 'healthy', by) or now), now)
end
call('ZADD', P .. 'beats', int(now), by)
call('HSET', P .. 'healthy', by, int(healthy))
return 'ok'
