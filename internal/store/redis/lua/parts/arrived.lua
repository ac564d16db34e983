-- arrived keeps when the latest-sent message that came through a lane was sent,
-- unless the clock was set back below it.
local function arrived(lane, sent)
  local latest = num(call('HGET', P .. 'counts', 'arrived:' .. lane))
  if latest > now or sent > latest then
    call('HSET', P .. 'counts', 'arrived:' .. lane, int(math.min(sent, now)))
  end
end
