-- fresh tells whether a heartbeat is good. One from the future is not, or a
-- clock that was set back would keep the dead alive.
local function fresh(beat, dead)
  return beat and math.abs(now - beat) <= dead
end
