-- unname forgets the name of a mail that is gone, if nothing else is left of its
-- subject: nobody would ever ask for it.
local function unname(id)
  local of, step = string.match(id, '^([^.]+)%.(.+)$')
  local s = call('HMGET', P .. 'subject:' .. of, 'status', 'asked')
  if not s[1] and not s[2] then call('HDEL', P .. 'subject:' .. of, 'mail:' .. step) end
end
