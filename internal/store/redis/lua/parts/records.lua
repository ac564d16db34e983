-- records returns the mails of a subject as their owner may see them, each behind
-- its number.
local function records(subject)
  local flat, all = call('HGETALL', P .. 'subject:' .. subject), {}
  for i = 1, #flat, 2 do
    local step = string.match(flat[i], '^mail:(.+)$')
    if step then
      local m = call('HMGET', P .. 'mail:' .. flat[i + 1], 'variant', 'state', 'created', 'attempts', 'reason', 'phase', 'code',
        'enhanced', 'answer')
      for j = 1, 9 do m[j] = m[j] or '' end
      if m[2] == '' then m[2] = 'purged' end
      all[#all + 1] = { flat[i + 1], subject .. '.' .. step, unpack(m) }
    end
  end
  return all
end
