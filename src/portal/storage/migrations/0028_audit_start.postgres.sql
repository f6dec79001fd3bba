-- compatible_from: 25
-- What grew too old of the audit goes from its beginning: the place of the last line that went. A line of the chain says
-- the same, and only up to there lines may be deleted.
CREATE TABLE audit_start (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL);

CREATE FUNCTION audit_goes_from_its_start() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.seq IS NULL OR OLD.seq > COALESCE((SELECT seq FROM audit_start), 0) THEN
        RAISE EXCEPTION 'lines of the audit are only ever added';
    END IF;
    RETURN OLD;
END
$$;
DROP TRIGGER audit_kept ON audit;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_goes_from_its_start();
