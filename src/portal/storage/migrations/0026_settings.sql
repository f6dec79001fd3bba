-- compatible_from: 25
-- What each server is set to, as a short mark for each part, so that servers that differ are told of.
ALTER TABLE instances ADD COLUMN settings TEXT NOT NULL DEFAULT '';
