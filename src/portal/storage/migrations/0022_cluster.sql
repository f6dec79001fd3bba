-- Several servers on one database: which ones there are, which of them does what one does for all, and which one runs a
-- turn. On SQLite there is one server, and these stay empty.
CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    lock BIGINT NOT NULL,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    url TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL
);

CREATE TABLE duties (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    term BIGINT NOT NULL,
    taken_at BIGINT NOT NULL
);

ALTER TABLE responses ADD COLUMN instance TEXT NOT NULL DEFAULT '';
ALTER TABLE responses ADD COLUMN cancelling BIGINT NOT NULL DEFAULT 0;

-- What was begun with somebody who is not known yet: a sign-in at an identity provider, a passkey's challenge.
CREATE TABLE pending (
    token_hash TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    until BIGINT NOT NULL
);
