-- Secrets that Portal must read again, each sealed with the key of this installation, for servers that share a database.
CREATE TABLE sealed_secrets (
    name TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Which versions of the schema older servers can go on working with, and since which one of theirs: while servers are
-- brought to a new version one after the other, both kinds are at work.
CREATE TABLE schema_compatible (
    version BIGINT PRIMARY KEY,
    compatible_from BIGINT NOT NULL
);
