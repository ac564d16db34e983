package redis

import "bellhop/internal/redisdb"

// scripts are the steps that a queue is made of. Each is one script, so that
// nobody ever sees half of it; the tag is the queue's name in braces.
//
// A message is an entry of a stream. Whoever received it has it in the group's
// list of pending entries, under the name of the consumer and with a count of
// deliveries; the time since then is the age of the lock. A message that nobody
// holds any more is pending for the consumer "returned", where everybody looks
// first: it is older than what was never delivered, and keeps its place.
type scripts struct {
	ensure, send, take, complete, abandon, renew, deadLetter, depth, letters, replay, discard *redisdb.Script
}

func newScripts() scripts {
	script := func(name, flags, body string) *redisdb.Script {
		return redisdb.NewScript(name, "#!lua"+flags+"\n"+names+body)
	}
	// What brings mails to their end must work on a server whose memory is full,
	// and sending too: the relay keeps a bounded number of messages in a lane.
	const emptying = " flags=allow-oom"
	return scripts{
		ensure:     script("create queue", emptying, ensure),
		send:       script("send", emptying, known+send),
		take:       script("receive", emptying, bury+take),
		complete:   script("complete", emptying, held+complete),
		abandon:    script("abandon", emptying, held+abandon),
		renew:      script("renew", emptying, held+renew),
		deadLetter: script("dead-letter", emptying, bury+held+deadLetter),
		depth:      script("count messages", " flags=no-writes", known+depth),
		letters:    script("list dead letters", " flags=no-writes", known+letters),
		replay:     script("replay dead letter", emptying, known+replay),
		discard:    script("discard dead letter", emptying, known+discard),
	}
}

const names = `
local messages, dead, bell, group = KEYS[1] .. ':messages', KEYS[1] .. ':dead', KEYS[1] .. ':bell', 'bellhop'
`

// known answers as Redis itself does where a group is missing.
const known = `
if redis.call('EXISTS', messages) == 0 then
  return redis.error_reply('NOGROUP no such queue')
end
`

const ensure = `
local made = redis.pcall('XGROUP', 'CREATE', messages, group, '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
  return made
end
return 1
`

// send gets, for each message, how many arguments it is, and its fields. The
// bell may be forbidden to this user: then receivers find the messages later.
const send = `
local at = 1
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  redis.call('XADD', messages, '*', unpack(ARGV, at + 1, at + n))
  at = at + n + 1
end
redis.pcall('PUBLISH', bell, '')
return 1
`

// bury moves an entry to the dead letters. Lua cannot pass on more than some
// thousand fields; no message of ours has as many.
const bury = `
local function bury(id, reason, description)
  local entry = redis.call('XRANGE', messages, id, id)[1]
  if entry then
    local fields = entry[2]
    redis.call('XADD', dead, '*', 'reason', reason, 'description', description, unpack(fields, 1, math.min(#fields, 4000)))
  end
  redis.call('XACK', messages, group, id)
  redis.call('XDEL', messages, id)
end
`

// take receives: first what has come back, then what is new. With a cursor it
// also sweeps, for what should come back: entries of this consumer that it does
// not know of, because an answer was lost (those of a second ago and older: a
// sweep that comes late from a stalled connection must not take newer ones); the
// entries of anybody whose lock has ended, a piece at a time; and consumers that
// hold nothing and have not received for a while: one that comes back is made
// anew.
const take = `
local consumer, limit, most, lock, cursor = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]

local function sweep()
  local mine = {}
  for i = 6, #ARGV do mine[ARGV[i]] = true end
  for _, pending in ipairs(redis.call('XPENDING', messages, group, 'IDLE', 1000, '-', '+', 1000, consumer)) do
    if not mine[pending[1]] then
      redis.call('XCLAIM', messages, group, 'returned', 0, pending[1], 'JUSTID')
    end
  end
  cursor = redis.call('XAUTOCLAIM', messages, group, 'returned', lock, cursor, 'COUNT', 100, 'JUSTID')[1]
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', messages, group)) do
    local c = {}
    for i = 1, #info, 2 do c[info[i]] = info[i + 1] end
    if c.pending == 0 and c.idle > lock and c.name ~= consumer and c.name ~= 'returned' then
      redis.call('XGROUP', 'DELCONSUMER', messages, group, c.name)
    end
  end
end

local got = {}

local function again()
  local count, ids = {}, {}
  local returned = redis.call('XPENDING', messages, group, '-', '+', limit - #got, 'returned')
  for _, pending in ipairs(returned) do
    local id, delivered = pending[1], pending[4]
    if delivered >= most then
      bury(id, 'MaxDeliveryCountExceeded', 'The message was delivered ' .. delivered .. ' times without being completed.')
    else
      ids[#ids + 1], count[id] = id, delivered + 1
    end
  end
  if #ids > 0 then
    for _, entry in ipairs(redis.call('XCLAIM', messages, group, consumer, 0, unpack(ids))) do
      got[#got + 1] = {entry[1], count[entry[1]], entry[2]}
    end
  end
  return #returned > 0 and #got < limit
end

if cursor ~= '' then sweep() end
local rounds = 10
while rounds > 0 and again() do rounds = rounds - 1 end
if #got < limit then
  local new = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', limit - #got, 'STREAMS', messages, '>')
  for _, entry in ipairs(new and new[1][2] or {}) do
    got[#got + 1] = {entry[1], 1, entry[2]}
  end
end
return {cursor, got}
`

// held answers 0 unless this delivery's lock is still this consumer's.
const held = `
local consumer, id, count, lock = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local pending = redis.call('XPENDING', messages, group, id, id, 1)[1]
if not pending or pending[2] ~= consumer or pending[4] ~= count or pending[3] >= lock then
  return 0
end
`

const complete = `
redis.call('XACK', messages, group, id)
redis.call('XDEL', messages, id)
return 1
`

const abandon = `
redis.call('XCLAIM', messages, group, 'returned', 0, id, 'JUSTID')
redis.pcall('PUBLISH', bell, '')
return 1
`

const renew = `
return #redis.call('XCLAIM', messages, group, consumer, 0, id, 'IDLE', 0, 'JUSTID')
`

const deadLetter = `
bury(id, ARGV[5], ARGV[6])
return 1
`

const depth = `
return {redis.call('XLEN', messages), redis.call('XLEN', dead)}
`

const letters = `
return redis.call('XRANGE', dead, ARGV[1], '+', 'COUNT', ARGV[2])
`

// replay leaves out what bury has put in front, and the old id.
const replay = `
local entry = redis.call('XRANGE', dead, ARGV[1], ARGV[1])[1]
if not entry then return 0 end
local fields, old = {'id', ARGV[2]}, entry[2]
for i = 5, #old, 2 do
  if old[i] ~= 'id' then
    fields[#fields + 1], fields[#fields + 2] = old[i], old[i + 1]
  end
end
redis.call('XADD', messages, '*', unpack(fields, 1, math.min(#fields, 4000)))
redis.call('XDEL', dead, ARGV[1])
redis.pcall('PUBLISH', bell, '')
return 1
`

const discard = `
return redis.call('XDEL', dead, ARGV[1])
`
