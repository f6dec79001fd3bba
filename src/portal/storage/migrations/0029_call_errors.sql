-- compatible_from: 25
-- Why a call failed.
ALTER TABLE usage_log ADD COLUMN error TEXT;
