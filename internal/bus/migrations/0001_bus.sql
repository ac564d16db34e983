-- Times are milliseconds since 1970, UTC. Durations are milliseconds.

CREATE TABLE queue (
	id               INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a deleted queue is emptied in pieces
	name             TEXT UNIQUE,                       -- lower case; NULL while the queue is being deleted
	display          TEXT    NOT NULL,                  -- as it was created
	lock_duration    INTEGER NOT NULL,
	max_deliveries   INTEGER NOT NULL,
	default_ttl      INTEGER NOT NULL,                  -- 0: never
	dead_letter_expired INTEGER NOT NULL CHECK (dead_letter_expired IN (0, 1)),
	duplicate_window INTEGER NOT NULL,                  -- 0: off
	created          INTEGER NOT NULL,
	updated          INTEGER NOT NULL
) STRICT;

-- A queue has two subqueues: its id for the messages, minus its id for the
-- dead letters. The numbers are written once per commit.
CREATE TABLE subqueue (
	id        INTEGER PRIMARY KEY,
	next_seq  INTEGER NOT NULL DEFAULT 1,
	cursor    INTEGER NOT NULL DEFAULT 1, -- no active entry from here on is held
	active    INTEGER NOT NULL DEFAULT 0,
	deferred  INTEGER NOT NULL DEFAULT 0,
	scheduled INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE message (
	id         INTEGER PRIMARY KEY,
	message_id TEXT    NOT NULL,
	head       BLOB    NOT NULL,
	properties BLOB    NOT NULL,
	body_kind  INTEGER NOT NULL,
	body       BLOB    NOT NULL,
	extra      BLOB    NOT NULL
) STRICT;

-- Where a message is. Small rows, apart from the message itself, so that
-- locking, moving and counting never rewrite a body.
CREATE TABLE entry (
	queue    INTEGER NOT NULL, -- subqueue.id
	place    INTEGER NOT NULL CHECK (place IN (0, 1, 2)), -- active, deferred, scheduled
	seq      INTEGER NOT NULL,
	message  INTEGER NOT NULL,
	count    INTEGER NOT NULL, -- locks that ended and counted
	held     INTEGER NOT NULL CHECK (held IN (0, 1)), -- handed out and not yet settled
	enqueued INTEGER NOT NULL,
	expires  INTEGER, -- as shown to receivers
	due      INTEGER, -- when the broker must act: expiry of an active entry, start of a scheduled one
	origin   INTEGER, -- sequence number in the queue it came from
	since    INTEGER, -- when it was dead-lettered
	PRIMARY KEY (queue, place, seq)
) STRICT, WITHOUT ROWID;

-- A held message does not expire before its lock ends.
CREATE INDEX entry_due ON entry (due) WHERE due IS NOT NULL AND held = 0;

-- Message ids seen within the duplicate window.
CREATE TABLE recent (
	queue      INTEGER NOT NULL,
	message_id TEXT    NOT NULL,
	seen       INTEGER NOT NULL,
	PRIMARY KEY (queue, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX recent_seen ON recent (queue, seen);
