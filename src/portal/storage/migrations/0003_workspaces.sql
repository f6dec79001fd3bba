-- Workspaces that people made on the page or by command. `fields` is what they wrote, as JSON.
CREATE TABLE workspaces (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);
