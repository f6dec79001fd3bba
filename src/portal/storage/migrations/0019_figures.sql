-- What calls were like: their workspace, and how long their first token took; read by day over everybody, too.
ALTER TABLE usage_log ADD COLUMN workspace TEXT;
ALTER TABLE usage_log ADD COLUMN first_milliseconds BIGINT;
CREATE INDEX usage_log_time ON usage_log (created_at);

-- What happened, for those who run the installation; only the newest are kept.
CREATE TABLE journal (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    level TEXT NOT NULL,
    source TEXT NOT NULL,
    text TEXT NOT NULL,
    request TEXT NOT NULL
);
CREATE INDEX journal_list ON journal (at, id);
CREATE INDEX journal_kind ON journal (kind, at, id);
