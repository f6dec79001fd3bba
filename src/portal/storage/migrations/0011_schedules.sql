-- Schedules and webhooks, their runs, and the answers on their way to people.
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    prompt TEXT NOT NULL,
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    timing TEXT NOT NULL,
    zone TEXT NOT NULL,
    continued BIGINT NOT NULL,
    conversation_id TEXT,
    catch_up TEXT NOT NULL,
    jitter BIGINT NOT NULL,
    parallel BIGINT NOT NULL,
    targets TEXT NOT NULL,
    permits TEXT NOT NULL,
    permitted_at BIGINT NOT NULL,
    signature TEXT NOT NULL,
    paused BIGINT NOT NULL,
    next_at BIGINT,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    token_hash TEXT
);
CREATE UNIQUE INDEX schedules_name ON schedules (owner, name);
CREATE INDEX schedules_list ON schedules (owner, created_at, id);
CREATE UNIQUE INDEX schedules_token ON schedules (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE schedule_runs (
    id TEXT PRIMARY KEY,
    schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    owner TEXT NOT NULL,
    cause TEXT NOT NULL,
    status TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    response_id TEXT NOT NULL,
    last_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    error TEXT NOT NULL,
    payload TEXT NOT NULL,
    delivery_id TEXT
);
CREATE INDEX schedule_runs_list ON schedule_runs (schedule_id, id);
CREATE INDEX schedule_runs_owner ON schedule_runs (owner, schedule_id, id);
CREATE INDEX schedule_runs_open ON schedule_runs (status, ready_at, id);
CREATE INDEX schedule_runs_active ON schedule_runs (schedule_id, status);
CREATE UNIQUE INDEX schedule_runs_once ON schedule_runs (schedule_id, due_at) WHERE cause IN ('time', 'late');
CREATE UNIQUE INDEX schedule_runs_sent ON schedule_runs (schedule_id, delivery_id) WHERE delivery_id IS NOT NULL;

CREATE TABLE schedule_deliveries (
    run_id TEXT NOT NULL REFERENCES schedule_runs (id) ON DELETE CASCADE,
    target TEXT NOT NULL,
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    ready_at BIGINT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run_id, target)
);
CREATE INDEX schedule_deliveries_due ON schedule_deliveries (status, ready_at);
