-- What people want kept about themselves. `digest` tells that two say the same; `moment` is when it happened, or was kept.
CREATE TABLE memories (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    scope TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    happened_at BIGINT,
    confidence DOUBLE PRECISION NOT NULL,
    status TEXT NOT NULL,
    superseded_by TEXT REFERENCES memories (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    digest TEXT NOT NULL,
    moment BIGINT NOT NULL
);
CREATE UNIQUE INDEX memories_same ON memories (owner, scope, digest) WHERE status = 'active';
CREATE INDEX memories_list ON memories (owner, status, moment DESC, id DESC);
CREATE INDEX memories_history ON memories (superseded_by) WHERE superseded_by IS NOT NULL;
