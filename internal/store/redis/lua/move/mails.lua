-- The mails of some numbers: number, row as name, value, name, value, and its
-- attempts. A purged one has no row; one that has not even a bit is left out.
local reply = {}
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local n = string.format('%012d', number)
  local row, attempts = call('HGETALL', P .. 'mail:' .. n), {}
  if #row > 0 then
    local flat = call('HGETALL', P .. 'attempts:' .. n)
    for i = 1, #flat, 2 do
      local a = cjson.decode(flat[i + 1])
      attempts[#attempts + 1] = { flat[i], a.copy and 1 or 0, a.outcome, a.counted and 1 or 0, int(a.code), a.enhanced, a.answer }
    end
  end
  if #row > 0 or call('GETBIT', P .. 'purged', number) == 1 then
    reply[#reply + 1] = { number, row, attempts }
  end
end
return reply
