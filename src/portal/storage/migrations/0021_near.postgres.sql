-- Vectors that are many lie where pgvector finds them quickly (see portal/storage/near_postgres.py); the column for them
-- is added once that extension is there. Those that are new wait in passage_vectors.
CREATE TABLE passage_near (
    key BIGINT NOT NULL REFERENCES passages (key) ON DELETE CASCADE,
    embedder BIGINT NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
    PRIMARY KEY (embedder, key)
);
CREATE INDEX passage_near_key ON passage_near (key);

-- Changes whenever vectors move there.
ALTER TABLE embedders ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;

CREATE FUNCTION passage_vector_renewed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM passage_near WHERE key = NEW.key AND embedder = NEW.embedder;
    RETURN NULL;
END
$$;
CREATE TRIGGER passage_vectors_renewed AFTER INSERT ON passage_vectors
FOR EACH ROW EXECUTE FUNCTION passage_vector_renewed();
