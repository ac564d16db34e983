local id = ARGV[2]
local to = recipient(id)
local m = to.email ~= '' and mint(find(id))
if not m then return {} end
local used = call('HEXISTS', P .. 'subject:' .. string.match(id, '^[^.]+'), 'used')
return { m.number, m.variant, m.age, to.locale, used, to.email }
