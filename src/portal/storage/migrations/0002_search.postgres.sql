-- What was said, once as it reads (for the line shown with a hit) and once folded into words. `side` is title, input or output.
CREATE TABLE search_texts (
    key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    response_id TEXT,
    side TEXT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX search_texts_place ON search_texts (response_id, side, position);
CREATE INDEX search_texts_conversation ON search_texts (conversation_id, side);
CREATE INDEX search_texts_words ON search_texts USING GIN (words);
