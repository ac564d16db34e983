-- page returns up to most members of a sorted set, those behind the member that
-- the page before ended with, and where the next one begins: a score and a
-- member, empty at the end. If that member has left the set since, those of its
-- score come once more, so that none is missing.
local function page(key, score, member, most)
  local from = 0
  if member ~= '' and call('ZSCORE', key, member) == score then
    from = call('ZRANK', key, member) + 1
  elseif member ~= '' then
    from = call('ZCOUNT', key, '-inf', '(' .. score)
  end
  local flat, members = call('ZRANGE', key, from, from + most - 1, 'WITHSCORES'), {}
  for i = 1, #flat, 2 do members[#members + 1] = flat[i] end
  if #members < most then return members, '', '' end
  return members, flat[#flat], members[most]
end
