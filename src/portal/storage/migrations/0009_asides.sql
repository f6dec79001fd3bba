-- Questions that a running call waits for, rather than the turn that follows: the item of that call.
ALTER TABLE approvals ADD COLUMN call_id TEXT;
