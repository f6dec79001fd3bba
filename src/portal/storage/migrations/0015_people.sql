-- Several people: how they sign in, whether they may, and within which bounds. `login` is what they sign in by, folded;
-- `password` an argon2id hash; `terms` bounds as JSON.
ALTER TABLE users ADD COLUMN login TEXT;
ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN suspended_at BIGINT;
ALTER TABLE users ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX users_login ON users (login);

-- What a key may do and how often, as JSON.
ALTER TABLE credentials ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
