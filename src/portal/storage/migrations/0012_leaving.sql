-- Passages that are found no more (they are deleted in small steps) or not yet (their document is being stored: `claim`
-- is who stores it), and collections that are being deleted: 1, or 2 with the files that were uploaded.
CREATE TABLE hidden_passages (
    document TEXT NOT NULL,
    owner TEXT NOT NULL,
    first_key BIGINT NOT NULL,
    last_key BIGINT NOT NULL,
    claim TEXT NOT NULL,
    PRIMARY KEY (document, first_key)
);
CREATE INDEX hidden_passages_claim ON hidden_passages (claim);
ALTER TABLE collections ADD COLUMN leaving BIGINT NOT NULL DEFAULT 0;
CREATE INDEX collections_leaving ON collections (leaving, id);
CREATE INDEX file_batches_collection ON file_batches (collection_id);

-- The conversation that a collection of its files belongs to.
ALTER TABLE collections ADD COLUMN conversation_id TEXT;
CREATE INDEX collections_conversation ON collections (conversation_id) WHERE conversation_id IS NOT NULL;

-- Of files that came from a watched place and were deleted here: they do not come back as they are.
CREATE TABLE removed_places (
    source_id TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    place TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (source_id, place)
);
