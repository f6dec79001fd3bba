-- compatible_from: 25
-- Calls of model servers whose limit holds for several Portals together: those in front run. They go with their Portal.
CREATE TABLE model_calls (
    id TEXT PRIMARY KEY,
    backend TEXT NOT NULL,
    instance TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    place BIGINT NOT NULL
);

CREATE INDEX model_calls_by_place ON model_calls (backend, place);
