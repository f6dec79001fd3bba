-- compatible_from: 25
-- What grew too old of the audit goes from its beginning: the place of the last line that went. A line of the chain says
-- the same, and only up to there lines may be deleted.
CREATE TABLE audit_start (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL);

DROP TRIGGER audit_kept;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
WHEN OLD.seq IS NULL OR OLD.seq > COALESCE((SELECT seq FROM audit_start), 0)
BEGIN
    SELECT RAISE(ABORT, 'lines of the audit are only ever added');
END;
