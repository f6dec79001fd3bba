-- Several people: how they sign in, whether they may, and within which bounds. `login` is what they sign in by, folded;
-- `password` an argon2id hash; `terms` bounds as JSON.
ALTER TABLE users ADD COLUMN login TEXT;
ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN suspended_at BIGINT;
ALTER TABLE users ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX users_login ON users (login);

-- What a key may do and how often, as JSON.
ALTER TABLE credentials ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';

-- Passkeys: `id` is the credential's, as the browser writes it; `uses` the authenticator's own count.
CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    public_key BLOB NOT NULL,
    uses BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_list ON passkeys (owner, created_at, id);

-- Who somebody is at an identity provider.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_owner ON identities (owner);

-- The key whose daily budget a call counts against.
ALTER TABLE usage_log ADD COLUMN credential TEXT;
CREATE INDEX usage_log_credential ON usage_log (credential, created_at) WHERE credential IS NOT NULL;
