-- Where a file's content is: in file_chunks when empty, else the kind of store that has it.
ALTER TABLE files ADD COLUMN place TEXT NOT NULL DEFAULT '';
