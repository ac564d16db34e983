local id = ARGV[2]
local to = recipient(id)
local m = to.email ~= '' and mint(find(id))
local email = m and mailed_to(to, m.variant) or ''
if email == '' then return {} end
local used = call('HEXISTS', P .. 'subject:' .. string.match(id, '^[^.]+'), 'used')
if used == 0 and not opens(m.variant, email, to.account) then return {} end
return { m.number, m.variant, m.age, to.locale, used, email }
