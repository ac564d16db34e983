-- The store: people, the ledger of mails owed to them, and what processes need
-- to know of each other. Times are unix milliseconds by the store's clock,
-- unless a comment says otherwise.

CREATE TABLE signups (
  seq      INTEGER PRIMARY KEY,
  id       TEXT NOT NULL UNIQUE,
  first    TEXT NOT NULL,
  last     TEXT NOT NULL,
  email    TEXT NOT NULL,             -- as typed
  status   TEXT NOT NULL CHECK (status IN ('pending', 'erased')),
  accepted INTEGER NOT NULL,          -- unix seconds
  CHECK ((status = 'erased') = (email = '')),
  CHECK (status <> 'erased' OR (first = '' AND last = ''))
) STRICT;

-- Idempotency keys, in the order of their sign-ups. There is no body: a repeat
-- is compared with the person that was stored.
CREATE TABLE idempotency (
  signup  INTEGER PRIMARY KEY REFERENCES signups (seq),
  key     BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
  used_at INTEGER NOT NULL
) STRICT;

-- One row per mail owed. seq is the value of the counter 'accepted' it raised.
-- The id names what the mail is owed for, so its uniqueness is the rule that
-- nothing owns two mails.
CREATE TABLE mails (
  seq        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,    -- SUBJECT.PURPOSE.STEP
  lane       TEXT NOT NULL CHECK (lane IN ('urgent', 'bulk')),
  created_at INTEGER NOT NULL,
  keeps      INTEGER NOT NULL,        -- milliseconds until it expires, from creation or replay

  -- Where it stands, and under which claim.
  state   TEXT NOT NULL,
  gen     INTEGER NOT NULL,
  at      INTEGER,                    -- due: when; queued, held: since; unknown: when a copy is made
  holder  TEXT NOT NULL DEFAULT '',
  op      TEXT NOT NULL DEFAULT '',   -- kept after the claim has ended: its steps may be repeated
  claims  INTEGER NOT NULL DEFAULT 0, -- without an outcome
  variant TEXT NOT NULL DEFAULT '',

  -- The latest attempt that reached committing.
  commits    INTEGER NOT NULL DEFAULT 0, -- how many did
  mint       INTEGER NOT NULL DEFAULT 0,
  minted_at  INTEGER NOT NULL DEFAULT 0,
  body_hash  BLOB NOT NULL DEFAULT x'',
  copies     INTEGER NOT NULL DEFAULT 0, -- how many were made after an unknown
  doubt      INTEGER NOT NULL DEFAULT 0 CHECK (doubt IN (0, 1)), -- an earlier one ended unknown, and what became of it was never learnt
  called_off INTEGER NOT NULL DEFAULT 0 CHECK (called_off IN (0, 1)),

  -- How it ends.
  attempts   INTEGER NOT NULL DEFAULT 0, -- that counted
  expires_at INTEGER NOT NULL,
  expires    INTEGER NOT NULL DEFAULT 1 CHECK (expires IN (0, 1)), -- whether that still matters
  dead_since INTEGER,                    -- given up, or unknown and held
  reason     TEXT NOT NULL DEFAULT '',
  phase      TEXT NOT NULL DEFAULT '',   -- the server's last answer
  code       INTEGER NOT NULL DEFAULT 0,
  enhanced   TEXT NOT NULL DEFAULT '',
  answer     TEXT NOT NULL DEFAULT '',

  CHECK (CASE state -- one WHEN per state: an IN list would build a table at every write
    WHEN 'due'        THEN at IS NOT NULL AND dead_since IS NULL AND expires
    WHEN 'queued'     THEN at IS NOT NULL AND dead_since IS NULL AND expires
    WHEN 'sending'    THEN at IS NOT NULL AND dead_since IS NULL AND expires
    WHEN 'committing' THEN at IS NOT NULL AND dead_since IS NULL AND expires
    WHEN 'sent'       THEN at IS NULL AND dead_since IS NULL
    WHEN 'unknown'    THEN (at IS NULL) = (dead_since IS NOT NULL)
    WHEN 'failed'     THEN at IS NULL AND dead_since IS NOT NULL
    WHEN 'cancelled'  THEN at IS NULL AND dead_since IS NULL
    WHEN 'expired'    THEN at IS NULL AND dead_since IS NOT NULL
    WHEN 'suppressed' THEN at IS NULL AND dead_since IS NULL
    WHEN 'purged'     THEN at IS NULL AND dead_since IS NULL
    ELSE 0 END)
) STRICT;

-- What asks for attention next, per state and lane. Finished mails and held
-- unknowns are in none of the three indexes below but the last.
CREATE INDEX mails_at ON mails (state, lane, at) WHERE at IS NOT NULL;
CREATE INDEX mails_expires_at ON mails (expires_at) WHERE expires = 1;
CREATE INDEX mails_dead_since ON mails (dead_since) WHERE dead_since IS NOT NULL;

-- The attempts that reached committing and ended otherwise than accepted. One
-- that is under way or was accepted at once has no row, which is what nearly
-- every mail comes to: it is the one by which mails.commits is more than the
-- rows here, and the mail's state and answer are its own.
CREATE TABLE attempts (
  mail     INTEGER NOT NULL REFERENCES mails (seq),
  n        INTEGER NOT NULL,
  copy     INTEGER NOT NULL CHECK (copy IN (0, 1)),    -- made after an unknown
  outcome  TEXT NOT NULL CHECK (outcome <> ''),        -- undelivered, unknown; or accepted, as a late answer told
  counted  INTEGER NOT NULL CHECK (counted IN (0, 1)), -- in mails.attempts, before any late answer
  code     INTEGER NOT NULL,                           -- the server's answer
  enhanced TEXT NOT NULL,
  answer   TEXT NOT NULL,
  PRIMARY KEY (mail, n)
) STRICT, WITHOUT ROWID;

-- Mails by lane and state, and other totals, so that nothing counts rows.
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE incarnations (
  id            TEXT PRIMARY KEY,
  beat          INTEGER NOT NULL,
  healthy_since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Secrets that every process must agree on.
CREATE TABLE keys (
  name   TEXT PRIMARY KEY,
  secret BLOB NOT NULL
) STRICT, WITHOUT ROWID;
