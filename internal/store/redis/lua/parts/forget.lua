-- wipe takes out what mail servers said of a subject's mails. Whoever stored it
-- should have taken addresses out, and this does not rely on it.
local function wipe(subject)
  for _, n in ipairs(mails_of(subject)) do
    call('HDEL', P .. 'mail:' .. n, 'answer')
    local flat = call('HGETALL', P .. 'attempts:' .. n)
    for i = 1, #flat, 2 do
      local attempt = cjson.decode(flat[i + 1])
      attempt.answer = ''
      call('HSET', P .. 'attempts:' .. n, flat[i], cjson.encode(attempt))
    end
  end
end

-- erase takes everything personal out of a sign-up, and calls off its mails. Its
-- idempotency key stays for its time: that a repeat found nothing any more would
-- tell of the erasure.
local function erase(id)
  local subject = P .. 'subject:' .. id
  local f = call('HGET', subject, 'fingerprint')
  if f then call('ZREM', P .. 'of:' .. f, id) end
  call('HSET', subject, 'status', 'erased')
  call('HDEL', subject, 'first', 'last', 'email', 'fingerprint', 'locale', 'muted', 'consent', 'origin',
    'confirmed', 'used', 'by', 'tries')
  cancel(id, 'the person was erased')
  wipe(id)
end

-- forget takes a request to sign in out of the store, but for the names of its
-- mails, as long as these are in the ledger.
local function forget(id, reason)
  local subject = P .. 'subject:' .. id
  call('ZREM', P .. 'asked:' .. (call('HGET', subject, 'fingerprint') or ''), id)
  cancel(id, reason)
  wipe(id)
  local flat = call('HGETALL', subject)
  for i = 1, #flat, 2 do
    local owed = string.sub(flat[i], 1, 5) == 'mail:' and call('EXISTS', P .. 'mail:' .. flat[i + 1]) == 1
    if not owed then call('HDEL', subject, flat[i]) end
  end
end
