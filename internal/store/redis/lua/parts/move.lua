-- The hash move is the store's mark: stage, id and place as package transfer
-- has them; and run, which names the run of the move that set it. What an older
-- run sent and the server found late is not taken.

-- mine tells whether the mark is of a stage, and of this run.
local function mine(stage, run)
  local mark = call('HMGET', P .. 'move', 'stage', 'run')
  return mark[1] == stage and mark[2] == run
end
