-- Pictures, videos and music: jobs, the queue of those to do, and what came of each.
CREATE TABLE media_jobs (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    recipe TEXT NOT NULL,
    engine TEXT NOT NULL,
    status TEXT NOT NULL,
    given TEXT NOT NULL,
    pictures TEXT NOT NULL,
    engine_job TEXT NOT NULL,
    progress DOUBLE PRECISION NOT NULL,
    detail TEXT NOT NULL,
    error TEXT NOT NULL,
    code TEXT NOT NULL,
    results TEXT NOT NULL,
    call_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    ready_at BIGINT NOT NULL
);
CREATE INDEX media_jobs_list ON media_jobs (owner, id);
CREATE INDEX media_jobs_call ON media_jobs (owner, call_id) WHERE call_id <> '';
CREATE INDEX media_jobs_open ON media_jobs (ready_at, id) WHERE status IN ('queued', 'running');
