-- person returns a sign-up as its owner may see it, or nil: it is not there, or
-- erased.
local function person(id)
  local p = call('HMGET', P .. 'subject:' .. id, 'first', 'last', 'email', 'status', 'accepted',
    'confirmed', 'locale', 'consent', 'origin')
  if not p[4] or p[4] == 'erased' then return nil end
  for i = 1, 9 do p[i] = p[i] or '' end
  return { id, unpack(p) }
end
