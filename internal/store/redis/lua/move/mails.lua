-- The mails of some numbers: number, row as name, value, name, value, and its
-- attempts. A purged one has no row, or is as if it had none; one that has not
-- even a bit is left out.
local reply = {}
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local n = string.format('%012d', number)
  local row, attempts, purged = call('HGETALL', P .. 'mail:' .. n), {}, call('GETBIT', P .. 'purged', number) == 1
  if #row > 0 and call('HGET', P .. 'mail:' .. n, 'state') == 'purged' then row, purged = {}, true end
  if #row > 0 then
    local flat = call('HGETALL', P .. 'attempts:' .. n)
    for i = 1, #flat, 2 do
      local a = cjson.decode(flat[i + 1])
      attempts[#attempts + 1] = { flat[i], a.copy and 1 or 0, a.outcome, a.counted and 1 or 0, int(a.code), a.enhanced, a.answer }
    end
  end
  if #row > 0 or purged then
    reply[#reply + 1] = { number, row, attempts }
  end
end
return reply
