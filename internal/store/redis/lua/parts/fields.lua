-- The fields of what a move brings, in the order in which it does. What is empty
-- is not there.
local SIGN_UP = { 'first', 'last', 'email', 'status', 'accepted', 'fingerprint', 'locale', 'muted', 'consent', 'origin',
  'confirmed', 'used', 'by', 'tries', 'form', 'key' }
local REQUEST = { 'asked', 'fingerprint', 'budget', 'locale', 'muted', 'used', 'by', 'tries' }
local SESSION = { 'account', 'kind', 'number', 'hash', 'before', 'rotated', 'opened', 'seen', 'idle', 'ends' }

-- put_fields writes the fields whose values begin at a place of ARGV, and
-- returns them.
local function put_fields(key, names, at)
  local all, flat = {}, {}
  for i, name in ipairs(names) do
    local value = ARGV[at + i - 1]
    if value ~= '' then
      all[name] = value
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  call('HSET', key, unpack(flat))
  return all
end
