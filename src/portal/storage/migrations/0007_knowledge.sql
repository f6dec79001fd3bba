-- Collections of documents, the places they follow, and the queue of what is to be read.
CREATE TABLE collections (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_active_at BIGINT NOT NULL,
    expires_days BIGINT
);
CREATE INDEX collections_list ON collections (owner, created_at, id);

CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    collection_id TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    place TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    checked_at BIGINT,
    next_at BIGINT NOT NULL,
    error TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE UNIQUE INDEX sources_place ON sources (collection_id, place);
CREATE INDEX sources_list ON sources (owner, created_at, id);
CREATE INDEX sources_due ON sources (next_at);

CREATE TABLE file_batches (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    collection_id TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    cancelled BIGINT NOT NULL
);

-- A document in progress is a job as well, which nobody takes before `ready_at`; `claim` is who has it until then.
-- `content_key` says what its passages were made of.
CREATE TABLE documents (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    collection_id TEXT NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    file_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    problem TEXT,
    attributes TEXT NOT NULL,
    chunking TEXT NOT NULL,
    progress DOUBLE PRECISION NOT NULL,
    passages BIGINT NOT NULL,
    usage_bytes BIGINT NOT NULL,
    note TEXT NOT NULL,
    content_key TEXT NOT NULL,
    place TEXT NOT NULL,
    modified BIGINT,
    source_id TEXT,
    batch_id TEXT,
    claim TEXT NOT NULL,
    ready_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE UNIQUE INDEX documents_file ON documents (collection_id, file_id);
CREATE INDEX documents_list ON documents (collection_id, created_at, id);
CREATE INDEX documents_counts ON documents (collection_id, status, usage_bytes);
CREATE INDEX documents_of_file ON documents (file_id);
CREATE INDEX documents_of_batch ON documents (batch_id, status);
CREATE INDEX documents_of_source ON documents (source_id);
CREATE INDEX documents_content ON documents (owner, content_key);
CREATE INDEX documents_waiting ON documents (ready_at, id) WHERE status = 'in_progress';
