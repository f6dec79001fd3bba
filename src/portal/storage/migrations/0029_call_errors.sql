-- compatible_from: 25
-- Why a call failed; forgotten before the rest of its row.
ALTER TABLE usage_log ADD COLUMN error TEXT;
CREATE INDEX usage_log_error ON usage_log (created_at) WHERE error IS NOT NULL;
