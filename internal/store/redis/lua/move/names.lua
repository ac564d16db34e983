-- The ids of purged mails, which only their subjects know any more: number, id,
-- for some of the subjects in a log, from just after a place on. The first value
-- is the place to go on from, empty at the end.
local log, after, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local entries = call('XRANGE', P .. log, '(' .. after, '+', 'COUNT', limit)
local reply = { #entries == limit and entries[limit][1] or '' }
for _, entry in ipairs(entries) do
  local id = entry[2][2]
  local flat = call('HGETALL', P .. 'subject:' .. id)
  for i = 1, #flat, 2 do
    local step = string.match(flat[i], '^mail:(.+)$')
    if step and call('GETBIT', P .. 'purged', tonumber(flat[i + 1])) == 1 then
      reply[#reply + 1] = tonumber(flat[i + 1])
      reply[#reply + 1] = id .. '.' .. step
    end
  end
end
return reply
