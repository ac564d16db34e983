-- key_of returns when an idempotency key was used, and of what sign-up it is; nil
-- if it is not known.
local function key_of(hash) return string.match(call('GET', P .. 'key:' .. hash) or '', '^(%d+) (.+)$') end

local function put_key(hash, at, of)
  call('SET', P .. 'key:' .. hash, at .. ' ' .. of)
  call('XADD', P .. 'uses', '*', 'key', hash, 'at', at)
end

-- leave_key takes what is known of its key from a sign-up.
local function leave_key(of) call('HDEL', P .. 'subject:' .. of, 'key', 'form') end
