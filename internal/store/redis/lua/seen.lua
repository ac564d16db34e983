local s, every = session(ARGV[2]), tonumber(ARGV[3])
-- Also when the clock was set back: it would last for longer than it should.
if s and math.abs(now - s.seen) > every then use_session(s) end
return 'ok'
