-- Accounts: a sign-up can be redeemed and become the account of its address,
-- and what that brings with it. Sign-ups and their idempotency keys move to
-- new tables because no CHECK can be changed.

CREATE TABLE signups_with_accounts (
  seq      INTEGER PRIMARY KEY,
  id       TEXT NOT NULL UNIQUE,
  first    TEXT NOT NULL,             -- both names are empty in one whose address was another's account
  last     TEXT NOT NULL,             -- when it was redeemed, and in one that was erased
  email    TEXT NOT NULL,             -- as typed
  status   TEXT NOT NULL,             -- pending, confirmed: an account, or erased
  accepted INTEGER NOT NULL,          -- unix seconds

  fingerprint    BLOB CHECK (length(fingerprint) = 16), -- of the address; NULL in those of older programs
  locale         TEXT NOT NULL DEFAULT '',
  muted          TEXT NOT NULL DEFAULT '', -- why its mails must not be sent
  consent_text   TEXT NOT NULL DEFAULT '',
  consent_origin BLOB NOT NULL DEFAULT x'',
  confirmed      INTEGER,             -- unix seconds: when it became an account
  redeemed_at    INTEGER,
  redeemed_by    TEXT NOT NULL DEFAULT '', -- the session that was opened then
  tries          INTEGER NOT NULL DEFAULT 0, -- of codes

  CHECK (CASE status
    WHEN 'pending'   THEN email <> '' AND confirmed IS NULL
    WHEN 'confirmed' THEN email <> '' AND confirmed IS NOT NULL AND fingerprint IS NOT NULL AND redeemed_at IS NOT NULL
    WHEN 'erased'    THEN first = '' AND last = '' AND email = '' AND fingerprint IS NULL AND locale = '' AND muted = ''
      AND consent_text = '' AND consent_origin = x'' AND confirmed IS NULL AND redeemed_at IS NULL AND tries = 0
    ELSE 0 END),
  CHECK ((redeemed_at IS NULL) = (redeemed_by = ''))
) STRICT;

INSERT INTO signups_with_accounts (seq, id, first, last, email, status, accepted)
  SELECT seq, id, first, last, email, status, accepted FROM signups ORDER BY seq;

-- A key outlives the names of its sign-up, and the person. So what came under it
-- is known by an HMAC that nobody can make who has not the key. Keys of older
-- programs have none: what comes under one of them is taken for a repeat.
CREATE TABLE idempotency_with_accounts (
  signup  INTEGER PRIMARY KEY REFERENCES signups_with_accounts (seq),
  key     BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
  used_at INTEGER NOT NULL,
  form    BLOB CHECK (length(form) = 16)
) STRICT;

INSERT INTO idempotency_with_accounts (signup, key, used_at)
  SELECT signup, key, used_at FROM idempotency ORDER BY signup;

DROP TABLE idempotency;
DROP TABLE signups;
ALTER TABLE signups_with_accounts RENAME TO signups;
ALTER TABLE idempotency_with_accounts RENAME TO idempotency;

-- The account of an address: there is one at most. And the sign-ups that were
-- redeemed for it.
CREATE UNIQUE INDEX accounts ON signups (fingerprint) WHERE status = 'confirmed';
CREATE INDEX signups_discarded ON signups (fingerprint) WHERE status = 'pending' AND redeemed_at IS NOT NULL;

-- The sign-ups that are no accounts, in the order of time. Those of an address
-- are found by reading all of it: fingerprints lie anywhere, so an index that
-- begins with them would make every sign-up twice as dear, for what is asked
-- when somebody leaves. It is no longer than the time that they are kept.
CREATE INDEX signups_pending ON signups (accepted, seq, fingerprint) WHERE status = 'pending';

-- Requests to sign in, in the order in which they were made. They go when they
-- are old, and with the account.
CREATE TABLE signins (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
  budget      TEXT NOT NULL,
  locale      TEXT NOT NULL,
  muted       TEXT NOT NULL,
  asked       INTEGER NOT NULL,
  redeemed_at INTEGER,
  redeemed_by TEXT NOT NULL DEFAULT '',
  tries       INTEGER NOT NULL DEFAULT 0,
  CHECK ((redeemed_at IS NULL) = (redeemed_by = ''))
) STRICT;

CREATE INDEX signins_fingerprint ON signins (fingerprint);

-- Sessions, in the order in which they were opened. One that was ended is gone.
CREATE TABLE sessions (
  seq        INTEGER PRIMARY KEY,
  id         TEXT NOT NULL UNIQUE,
  account    INTEGER NOT NULL REFERENCES signups (seq),
  kind       TEXT NOT NULL CHECK (kind = 'browser' OR kind = 'api'),
  number     INTEGER NOT NULL DEFAULT 0,
  hash       BLOB NOT NULL CHECK (length(hash) = 32),
  before     BLOB NOT NULL DEFAULT x'', -- the hash of number - 1, once there is one
  rotated_at INTEGER,
  opened     INTEGER NOT NULL,
  seen       INTEGER NOT NULL,
  idle       INTEGER NOT NULL,        -- how long it lasts unused
  ends       INTEGER NOT NULL,        -- at the latest
  until      INTEGER NOT NULL,        -- when it is over, as things stand
  CHECK (until = min(ends, seen + idle)),
  CHECK ((number = 0) = (rotated_at IS NULL)),
  CHECK (length(before) = CASE number WHEN 0 THEN 0 ELSE 32 END)
) STRICT;

CREATE INDEX sessions_account ON sessions (account);
CREATE INDEX sessions_until ON sessions (until);

-- What was charged to the budgets of addresses, in the order of time. It stays
-- when a person is erased.
CREATE TABLE charges (
  seq         INTEGER PRIMARY KEY,
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 16),
  budget      TEXT NOT NULL,
  at          INTEGER NOT NULL
) STRICT;

CREATE INDEX charges_of ON charges (fingerprint, budget, at);

-- A mail is charged once, however often it is tried.
ALTER TABLE mails ADD COLUMN charged INTEGER NOT NULL DEFAULT 0 CHECK (charged = 0 OR charged = 1);

-- Small texts that every process shares. A version counts how often one was
-- set.
CREATE TABLE documents (
  name    TEXT PRIMARY KEY,
  value   BLOB NOT NULL,
  version INTEGER NOT NULL CHECK (version > 0)
) STRICT, WITHOUT ROWID;
