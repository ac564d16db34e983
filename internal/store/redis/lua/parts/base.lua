-- What every step begins with. KEYS[1] is the tag that all keys share, ARGV[1]
-- the time in unix milliseconds, or empty for the server's own clock.
local P = KEYS[1] .. ':'
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- int writes a number as Redis stores it: 1.79e+12 would be no time.
local function int(x) return string.format('%.0f', x) end

-- num reads a field that may be missing.
local function num(x) return tonumber(x or 0) end
