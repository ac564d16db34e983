-- take_back recovers a mail whose holder is gone: before the point of no return
-- nothing was submitted; after it nobody knows. Its claim stays then, for a late
-- reply.
local function take_back(m, why, pause, copies)
  if m.state == 'sending' then
    free(m)
    m.reason = why
    become_due(m, now)
  else
    end_attempt(m, 'unknown', false, { code = 0, enhanced = '', answer = '' })
    become_unknown(m, pause, copies, why .. " between the final dot and the server's answer")
  end
  save(m)
end
