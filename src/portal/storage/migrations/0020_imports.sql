-- What people bring in from elsewhere: each upload, how far it has come, and what became of it. `report` is JSON.
CREATE TABLE imports (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    dry_run BIGINT NOT NULL,
    progress DOUBLE PRECISION NOT NULL,
    report TEXT NOT NULL,
    problem TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX imports_list ON imports (owner, created_at DESC, id DESC);
CREATE INDEX imports_unfinished ON imports (status, created_at);

-- What an export asks for.
CREATE INDEX responses_outside ON responses (owner, created_at, id) WHERE conversation_id IS NULL;
