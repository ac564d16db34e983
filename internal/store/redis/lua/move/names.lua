-- The ids of purged mails, which only their subjects know any more: number, id,
-- for some of the subjects in a log, from just after a place on. The first value
-- is the place to go on from, empty at the end.
local log, after, limit = ARGV[2], ARGV[3], tonumber(ARGV[4])
local function purged(number)
  return call('GETBIT', P .. 'purged', number) == 1
    or call('HGET', P .. 'mail:' .. string.format('%012d', number), 'state') == 'purged'
end

local entries = call('XRANGE', P .. log, '(' .. after, '+', 'COUNT', limit)
local reply = { #entries == limit and entries[limit][1] or '' }
for _, entry in ipairs(entries) do
  local id = entry[2][2]
  local subject = P .. 'subject:' .. id
  local flat = call('HGETALL', subject)
  local forgotten = call('HEXISTS', subject, 'status') + call('HEXISTS', subject, 'asked') == 0
  for i = 1, #flat, 2 do
    local step, number = string.match(flat[i], '^mail:(.+)$'), tonumber(flat[i + 1])
    if step and not forgotten and purged(number) then
      reply[#reply + 1] = number
      reply[#reply + 1] = id .. '.' .. step
    end
  end
end
return reply
