-- Adds mails, each as number, id, how many fields, name, value, ..., how many
-- attempts, and seven values for each. Of a purged one only its name is kept,
-- if it has any.
-- Finished ones are kept for their time from now on.
if not mine('filling', ARGV[2]) then return 'changed' end
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local function write_row(m, id)
  if FINISHED[m.state] then m.ended = int(now) end
  local flat = { 'id', id }
  for name, value in pairs(m) do
    if name ~= 'n' then
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  call('HSET', P .. 'mail:' .. m.n, unpack(flat))
  enter(m)
end

local function put()
  local number, id = take(), take()
  local m = { n = string.format('%012d', number) }
  for _ = 1, tonumber(take()) do
    local name = take()
    m[name] = take()
  end
  local subject, step = string.match(id, '^([^.]+)%.(.+)$')
  if subject then call('HSET', P .. 'subject:' .. subject, 'mail:' .. step, m.n) end
  if m.state == 'purged' then
    call('HINCRBY', P .. 'counts', 'purged', 1)
    call('SETBIT', P .. 'purged', number, 1)
  else
    write_row(m, id)
  end
  for _ = 1, tonumber(take()) do
    local n, copy, outcome, counted = take(), take() == '1', take(), take() == '1'
    local attempt = { copy = copy, outcome = outcome, counted = counted, code = tonumber(take()), enhanced = take(), answer = take() }
    if m.state ~= 'purged' then call('HSET', P .. 'attempts:' .. m.n, n, cjson.encode(attempt)) end
  end
end

while at <= #ARGV do put() end
return 'ok'
