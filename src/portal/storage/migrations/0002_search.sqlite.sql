-- What was said, once as it reads (for the line shown with a hit) and once folded into words. `side` is title, input or output.
CREATE TABLE search_texts (
    key INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    response_id TEXT,
    side TEXT NOT NULL,
    position BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX search_texts_place ON search_texts (response_id, side, position);
CREATE INDEX search_texts_conversation ON search_texts (conversation_id, side);

-- The words arrive folded and spaced (see portal/storage/search.py), so this tokenizer, to which every character
-- beyond ASCII belongs to a word, splits them just there.
CREATE VIRTUAL TABLE search_words USING fts5 (
    words, content = '', contentless_delete = 1, prefix = '2 3 4 5',
    tokenize = 'ascii'
);
