-- Text that can be found by its words and by what it means: pieces of documents, memories, turns. Times are microseconds UTC.
CREATE TABLE passages (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
    created_at BIGINT NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX passages_document ON passages (owner, document, position);
CREATE INDEX passages_group ON passages (owner, space, in_group);
CREATE INDEX passages_created ON passages (owner, space, created_at);
CREATE INDEX passages_words ON passages USING GIN (words);

-- What filters look at; a value stands in the column of its kind.
CREATE TABLE passage_attributes (
    owner TEXT NOT NULL,
    document TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT COLLATE "C",
    number DOUBLE PRECISION,
    truth BIGINT,
    PRIMARY KEY (owner, document, name)
);
CREATE INDEX passage_attributes_text ON passage_attributes (owner, name, text);
CREATE INDEX passage_attributes_number ON passage_attributes (owner, name, number);

CREATE TABLE embedders (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions BIGINT NOT NULL
);

-- Little-endian float32, of length 1.
CREATE TABLE passage_vectors (
    key BIGINT NOT NULL REFERENCES passages (key) ON DELETE CASCADE,
    embedder BIGINT NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
    vector BYTEA NOT NULL,
    PRIMARY KEY (embedder, key)
);
CREATE INDEX passage_vectors_key ON passage_vectors (key);

-- Words arrive folded and spaced (see portal/storage/passage_words.py). English stems as SQLite's; no word is left out.
CREATE FUNCTION passage_stem(word TEXT) RETURNS TEXT LANGUAGE SQL IMMUTABLE AS $$
    SELECT COALESCE((ts_lexize('pg_catalog.english_stem', word))[1], word)
$$;
CREATE FUNCTION passage_words(folded TEXT) RETURNS TSVECTOR LANGUAGE SQL IMMUTABLE AS $$
    SELECT CAST(COALESCE(string_agg(quote_literal(passage_stem(word)) || ':' || LEAST(place, 16383), ' '), '') AS tsvector)
    FROM unnest(string_to_array(folded, ' ')) WITH ORDINALITY AS split (word, place) WHERE word <> ''
$$;
