-- Decided rounds that no turn went on with are looked for again and again; once one does, `pending` is -1.
CREATE INDEX approval_rounds_pending ON approval_rounds (pending);
