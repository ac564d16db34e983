local id, number, within, by_code, f = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', ARGV[6]
local opened, life = { id = ARGV[7], kind = ARGV[8], hash = ARGV[9], idle = ARGV[10] }, tonumber(ARGV[11])
local welcome, lane, keeps = ARGV[12], ARGV[13], ARGV[14]
local request = ARGV[15] == '1' -- the mail is owed to a request to sign in

local who = string.match(id, '^[^.]+')
local subject = P .. 'subject:' .. who
local s = call('HMGET', subject, 'status', 'asked', 'fingerprint', 'used', 'by', 'email')
local status, asked = s[1] or 'erased', s[2]
if request and not asked or not request and status == 'erased' then return { 'dead' } end
if s[4] then
  if s[5] ~= opened.id then return { 'used' } end
  local confirmed = status == 'confirmed' -- the same step again
  return { 'ok', confirmed and 1 or 0, person(confirmed and who or account_of(s[3])) }
end
local m = mint(find(id))
if not m or m.number ~= number or m.age >= within then return { 'dead' } end
local account = account_of(s[3] or f)
if asked and not account then return { 'dead' } end
if account and not asked and (by_code or not opens(m.variant, s[6], account)) then return { 'dead' } end

if not s[3] then -- an older program stored it
  if f == '' then return redis.error_reply('ERR this sign-up has no fingerprint, and none was given') end
  call('HSET', subject, 'fingerprint', f)
  call('ZADD', P .. 'of:' .. f, 0, who)
end
call('HSET', subject, 'used', int(now), 'by', opened.id)
local confirmed = 0
if not account then
  account, confirmed = who, 1
  call('SET', P .. 'account:' .. (s[3] or f), who)
  call('HSET', subject, 'status', 'confirmed', 'confirmed', int(math.floor(now / 1000)))
  cancel(who, 'the address is confirmed')
  owe(welcome, lane, keeps)
else
  call('HDEL', subject, 'first', 'last') -- a request has none
end
open_session(opened, account, life)
return { 'ok', confirmed, person(account) }
