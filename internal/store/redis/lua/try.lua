local id, most = ARGV[2], tonumber(ARGV[3])
local subject = P .. 'subject:' .. id
local s = call('HMGET', subject, 'status', 'asked', 'fingerprint', 'used', 'tries', 'locale')
if (s[1] or 'erased') == 'erased' and not s[2] then return { 'none' } end
if num(s[5]) >= most then return { 'tries' } end
call('HINCRBY', subject, 'tries', 1)
local reply = { 'ok', s[6] or '' }
if s[4] or s[1] and account_of(s[3]) then return reply end -- used, or the address is another's: counted all the same
for _, n in ipairs(mails_of(id)) do
  local m = mint(n)
  if m then reply[#reply + 1] = { call('HGET', P .. 'mail:' .. n, 'id'), m.number, m.variant, m.age } end
end
return reply
