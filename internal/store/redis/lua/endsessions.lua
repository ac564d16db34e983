-- Ends one session of an account, or all if none is named, and returns how many
-- were there.
local account, only = ARGV[2], ARGV[3]
local ids = only ~= '' and { only } or call('ZRANGE', P .. 'sessions:' .. account, 0, -1)
local ended = 0
for _, id in ipairs(ids) do
  if call('ZSCORE', P .. 'sessions:' .. account, id) then
    if session(id) then ended = ended + 1 end
    end_session(id, account)
  end
end
return ended
