-- What the walking product keeps. BLOB becomes BYTEA on PostgreSQL; times are microseconds UTC; JSON is opaque text.

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    preferences TEXT NOT NULL
);
-- One installation has one owner, however many processes ask at once.
CREATE UNIQUE INDEX users_owner ON users (role) WHERE role = 'owner';

CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX credentials_secret ON credentials (kind, secret_hash);
CREATE UNIQUE INDEX credentials_key_name ON credentials (owner, name) WHERE kind = 'key';
CREATE INDEX credentials_list ON credentials (owner, kind, created_at);

CREATE TABLE folders (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    instructions TEXT NOT NULL,
    model TEXT,
    file_ids TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX folders_list ON folders (owner, name);

CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    title_source TEXT NOT NULL,
    head TEXT,
    folder_id TEXT REFERENCES folders (id) ON DELETE SET NULL,
    model TEXT,
    pinned BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX conversations_list ON conversations (owner, pinned DESC, updated_at DESC, id DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX conversations_folder ON conversations (folder_id, pinned DESC, updated_at DESC, id DESC)
    WHERE folder_id IS NOT NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    conversation_id TEXT REFERENCES conversations (id) ON DELETE CASCADE,
    previous_id TEXT REFERENCES responses (id) ON DELETE SET NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    completed_at BIGINT,
    request TEXT NOT NULL,
    usage TEXT,
    error TEXT,
    incomplete_details TEXT,
    decision TEXT,
    background BIGINT NOT NULL,
    feedback BIGINT NOT NULL,
    last_seq BIGINT NOT NULL
);
CREATE INDEX responses_siblings ON responses (conversation_id, COALESCE(previous_id, ''), created_at, id);
CREATE INDEX responses_previous ON responses (previous_id);
CREATE INDEX responses_running ON responses (status) WHERE status IN ('queued', 'in_progress');

-- Ids of items are not unique: a client may send back an item it got.
CREATE TABLE items (
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    side TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    item TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    cuts TEXT NOT NULL,
    PRIMARY KEY (response_id, side, position)
);
CREATE INDEX items_id ON items (id);

-- Pieces of unfinished output items, only ever added, so that flushing costs what is new.
CREATE TABLE partials (
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    number TEXT NOT NULL,
    owner TEXT NOT NULL,
    item TEXT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    cuts TEXT NOT NULL,
    PRIMARY KEY (response_id, position, number)
);

CREATE TABLE files (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    content_type TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    ready BIGINT NOT NULL
);
CREATE INDEX files_list ON files (owner, created_at, id) WHERE ready = 1;
CREATE INDEX files_unready ON files (ready) WHERE ready = 0;

CREATE TABLE file_chunks (
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    owner TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (file_id, number)
);

CREATE TABLE usage_log (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    door TEXT NOT NULL,
    model TEXT NOT NULL,
    backend TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    estimated BIGINT NOT NULL,
    milliseconds BIGINT NOT NULL,
    status TEXT NOT NULL,
    decision TEXT
);
CREATE INDEX usage_log_owner ON usage_log (owner, created_at);

CREATE TABLE key_values (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
