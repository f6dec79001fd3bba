-- Conversations that may be read by whoever has a link, as they were at that moment.
CREATE TABLE shares (
    conversation_id TEXT PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX shares_token ON shares (token_hash);
CREATE INDEX shares_owner ON shares (owner, created_at);
