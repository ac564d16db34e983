-- find returns the number of the mail of an id, or false.
local function find(id)
  local subject, step = string.match(id, '^([^.]+)%.(.+)$')
  return subject and call('HGET', P .. 'subject:' .. subject, 'mail:' .. step)
end
