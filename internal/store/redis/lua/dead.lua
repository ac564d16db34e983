-- Lists from just after (since, after) on: by time, then by number.
local since, after, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local reply = {}
local rank = call('ZCOUNT', P .. 'dead', '-inf', '(' .. int(since))
while #reply < limit do
  local page = call('ZRANGE', P .. 'dead', rank, rank + 99, 'WITHSCORES')
  for i = 1, #page, 2 do
    local n, at = page[i], tonumber(page[i + 1])
    if #reply < limit and (at > since or n > after) then
      local m = call('HMGET', P .. 'mail:' .. n, 'id', 'state', 'reason', 'phase', 'code', 'enhanced', 'answer', 'attempts')
      for j = 2, 8 do m[j] = m[j] or '' end
      m[9], m[10] = int(at), n
      if m[1] then reply[#reply + 1] = m end
    end
  end
  if #page < 200 then break end
  rank = rank + 100
end
return reply
