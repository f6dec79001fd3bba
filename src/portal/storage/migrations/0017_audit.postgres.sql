-- The audit is a chain: `hash` is of a line and of the hash before it, `seq` its place, from 1 without gaps.
ALTER TABLE audit ADD COLUMN seq BIGINT;
ALTER TABLE audit ADD COLUMN prev TEXT;
ALTER TABLE audit ADD COLUMN hash TEXT;
CREATE UNIQUE INDEX audit_chain ON audit (seq);

-- Its newest place: one row, which whoever appends moves on.
CREATE TABLE audit_head (id BIGINT PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL);

CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'lines of the audit are only ever added';
END
$$;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_only_grows();
CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit FOR EACH ROW
WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION audit_only_grows();
