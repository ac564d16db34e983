-- Charges one event to each key, or to none if one of them is over (GCRA, as
-- package limit has it). ARGV from 2 on: key, interval and burst of each charge,
-- times in microseconds; an interval of 0 is no limit. Returns the index of the
-- first that is over, or -1, and how long until all would pass.
--
-- limit:KEY is the key's theoretical arrival time. Once that is past it means
-- nothing, so these keys alone have a time to live.
local at = now * 1000
local over, wait = -1, 0
local charges = {}

local function keep(c, arrival)
  call('SET', c.key, int(arrival), 'PX', int(math.max(1, math.ceil((arrival - at) / 1000))))
end

for i = 2, #ARGV, 3 do
  local c = { key = P .. 'limit:' .. ARGV[i], interval = tonumber(ARGV[i + 1]), burst = tonumber(ARGV[i + 2]) }
  if c.interval > 0 then
    local kept, latest = num(call('GET', c.key)), at + c.burst
    c.arrival = math.max(at, math.min(kept, latest))
    local missing = c.arrival + c.interval - latest
    if missing > 0 then
      if over < 0 then over = (i - 2) / 3 end
      wait = math.max(wait, missing)
      -- Another rate's, or the clock was set back: it comes nearer from now on.
      if kept > latest then keep(c, latest) end
    end
    charges[#charges + 1] = c
  end
end
if over < 0 then
  for _, c in ipairs(charges) do keep(c, c.arrival + c.interval) end
end
return { over, int(wait) }
