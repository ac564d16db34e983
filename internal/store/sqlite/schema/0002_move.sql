-- What the store remembers of the latest move to or from another store it took
-- part in (see the package transfer). At most one row; none in a store that
-- never took part.

CREATE TABLE move (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  stage TEXT NOT NULL CHECK (stage IN ('leaving', 'stayed', 'moved', 'left', 'filling', 'arrived')),
  id    TEXT NOT NULL,
  place TEXT NOT NULL  -- the other store, for people
) STRICT;
