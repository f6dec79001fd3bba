-- Text that can be found by its words and by what it means: pieces of documents, memories, turns. Times are microseconds UTC.
CREATE TABLE passages (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    space TEXT NOT NULL,
    in_group TEXT NOT NULL,
    document TEXT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    heading TEXT NOT NULL,
    page BIGINT,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX passages_document ON passages (owner, document, position);
CREATE INDEX passages_group ON passages (owner, space, in_group);
CREATE INDEX passages_created ON passages (owner, space, created_at);

-- What filters look at; a value stands in the column of its kind.
CREATE TABLE passage_attributes (
    owner TEXT NOT NULL,
    document TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT,
    number DOUBLE PRECISION,
    truth BIGINT,
    PRIMARY KEY (owner, document, name)
) WITHOUT ROWID;
CREATE INDEX passage_attributes_text ON passage_attributes (owner, name, text);
CREATE INDEX passage_attributes_number ON passage_attributes (owner, name, number);

-- The words of each space arrive folded and spaced (see portal/storage/passage_words.py), so that how common a word is
-- among memories has nothing to do with documents.
CREATE VIRTUAL TABLE documents_words USING fts5 (words, tokenize = 'porter ascii');
CREATE VIRTUAL TABLE memories_words USING fts5 (words, tokenize = 'porter ascii');
CREATE VIRTUAL TABLE turns_words USING fts5 (words, tokenize = 'porter ascii');

CREATE TABLE embedders (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions BIGINT NOT NULL,
    -- Changes whenever cells come and go.
    generation BIGINT NOT NULL DEFAULT 0
);

-- Little-endian float32, of length 1: the newest, and all while they are few.
CREATE TABLE passage_vectors (
    key BIGINT NOT NULL REFERENCES passages (key) ON DELETE CASCADE,
    embedder BIGINT NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
    vector BLOB NOT NULL,
    UNIQUE (key, embedder)
);
CREATE INDEX passage_vectors_embedder ON passage_vectors (embedder);

-- Where they are many: cells of vectors that lie close, each a few segments of rows (see portal/storage/vectors.py).
CREATE TABLE vector_cells (
    cell INTEGER PRIMARY KEY AUTOINCREMENT,
    embedder BIGINT NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
    centroid BLOB NOT NULL
);
CREATE INDEX vector_cells_embedder ON vector_cells (embedder);

CREATE TABLE vector_segments (
    segment INTEGER PRIMARY KEY AUTOINCREMENT,
    cell BIGINT NOT NULL REFERENCES vector_cells (cell) ON DELETE CASCADE,
    rows BIGINT NOT NULL,
    living BIGINT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX vector_segments_cell ON vector_segments (cell, rows, living);

-- Place is 64 times the segment and the row in it.
CREATE TABLE passage_places (
    key BIGINT NOT NULL REFERENCES passages (key) ON DELETE CASCADE,
    embedder BIGINT NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    PRIMARY KEY (key, embedder)
) WITHOUT ROWID;

CREATE TRIGGER passage_places_erased AFTER DELETE ON passage_places BEGIN
    UPDATE vector_segments SET living = living - 1, data = CAST(
        substr(data, 1, old.place % 64 * (length(data) / rows)) || zeroblob(length(data) / rows)
        || substr(data, (old.place % 64 + 1) * (length(data) / rows) + 1) AS BLOB)
    WHERE segment = old.place / 64;
    DELETE FROM vector_segments WHERE segment = old.place / 64 AND living = 0;
END;
CREATE TRIGGER passage_vectors_renewed AFTER INSERT ON passage_vectors BEGIN
    DELETE FROM passage_places WHERE key = new.key AND embedder = new.embedder;
END;
