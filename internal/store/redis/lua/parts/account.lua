-- account_of returns the id of the account of a fingerprint, or false.
local function account_of(f) return f and call('GET', P .. 'account:' .. f) end
