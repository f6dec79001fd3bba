-- Where the time of stored turns went: one line each, `spans` a JSON list. Gone with their response, or when they are old.
CREATE TABLE traces (
    response_id TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    milliseconds BIGINT NOT NULL,
    status TEXT NOT NULL,
    door TEXT NOT NULL,
    model TEXT NOT NULL,
    workspace TEXT NOT NULL,
    error TEXT NOT NULL,
    spans TEXT NOT NULL,
    dropped BIGINT NOT NULL
);
CREATE INDEX traces_owner ON traces (owner);
CREATE INDEX traces_age ON traces (created_at);
CREATE INDEX traces_slow ON traces (milliseconds, response_id, created_at);
CREATE INDEX traces_failed ON traces (created_at, response_id) WHERE status = 'failed';
