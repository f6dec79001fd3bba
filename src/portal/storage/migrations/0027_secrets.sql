-- Secrets that Portal must read again, each sealed with the key of this installation, for servers that share a database.
CREATE TABLE sealed_secrets (
    name TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);
