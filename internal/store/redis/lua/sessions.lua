local reply = {}
for _, id in ipairs(call('ZREVRANGE', P .. 'sessions:' .. ARGV[2], 0, -1)) do
  local s = session(id)
  if s then reply[#reply + 1] = shown(s) end
end
return reply
