-- mint returns the latest mint of the mail of a number: what it carries may be in
-- somebody's mailbox. There is none before its first commit, and after the mail
-- was purged.
local function mint(n)
  local m = n and call('HMGET', P .. 'mail:' .. n, 'mint', 'minted', 'variant')
  if not m or not m[1] then return nil end
  return { number = m[1], age = now - m[2], variant = m[3] or '' }
end
