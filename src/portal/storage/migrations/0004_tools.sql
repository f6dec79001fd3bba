-- Questions to people about tool calls, what they allowed for longer, and who did what.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    conversation_id TEXT,
    workspace TEXT NOT NULL,
    tool TEXT NOT NULL,
    toolset TEXT NOT NULL,
    risk TEXT NOT NULL,
    arguments TEXT NOT NULL,
    arguments_hash TEXT NOT NULL,
    why TEXT NOT NULL,
    question BIGINT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT,
    answer TEXT NOT NULL,
    extents TEXT NOT NULL,
    scope TEXT NOT NULL
);
CREATE INDEX approvals_response ON approvals (response_id, position);
CREATE INDEX approvals_list ON approvals (owner, created_at DESC, id DESC);
CREATE INDEX approvals_open ON approvals (owner, status, created_at DESC, id DESC);
CREATE INDEX approvals_expiry ON approvals (expires_at) WHERE status = 'pending';

-- How many questions of a response are open. Whoever decides changes this row first, so deciders wait for each other.
CREATE TABLE approval_rounds (
    response_id TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    pending BIGINT NOT NULL
);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    tool TEXT NOT NULL,
    toolset TEXT NOT NULL,
    extent TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX grants_same ON grants (owner, toolset, tool, extent, value);
CREATE INDEX grants_list ON grants (owner, created_at DESC, id DESC);

-- Only ever added to.
CREATE TABLE audit (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_list ON audit (owner, at DESC, id DESC);
