-- The same bytes are kept once for each owner: whose rows hold a file's content. A row that others need stays, hidden.
ALTER TABLE files ADD COLUMN content_id TEXT;
UPDATE files SET content_id = id;
CREATE INDEX files_content ON files (content_id);
CREATE INDEX files_same ON files (owner, sha256) WHERE ready = 1;
