-- Sessions from a rank on, in the order in which they are over: the rank to go
-- on from, empty at the end; and of each its id and its fields.
local from, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = call('ZRANGE', P .. 'ending', from, from + limit - 1)
local reply = { #ids == limit and int(from + limit) or '' }
for _, id in ipairs(ids) do
  local s = call('HMGET', P .. 'session:' .. id, unpack(SESSION))
  for i = 1, #SESSION do s[i] = s[i] or '' end
  if s[1] ~= '' then reply[#reply + 1] = { id, unpack(s) } end
end
return reply
