-- Programs that people let in by OAuth: what registered, and the tokens by which they get a new key for an old one.
CREATE TABLE oauth_clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    redirects TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE oauth_refreshes (
    secret_hash TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX oauth_refreshes_credential ON oauth_refreshes (credential_id);
CREATE INDEX oauth_refreshes_client ON oauth_refreshes (client_id);
