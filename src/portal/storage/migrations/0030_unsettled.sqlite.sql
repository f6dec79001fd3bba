-- compatible_from: 25
-- Vectors that are to be settled in their cells for those that came.
ALTER TABLE embedders ADD COLUMN unsettled BIGINT NOT NULL DEFAULT 0;
