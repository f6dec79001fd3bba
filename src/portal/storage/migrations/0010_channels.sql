-- Chat platforms: who is linked, which chat is which conversation, what arrived and what is to be sent.
CREATE TABLE channel_links (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    channel TEXT NOT NULL,
    sender TEXT NOT NULL,
    name TEXT NOT NULL,
    chat TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX channel_links_sender ON channel_links (channel, sender);
CREATE INDEX channel_links_list ON channel_links (owner, created_at DESC, id DESC);

CREATE TABLE channel_codes (
    code_hash TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX channel_codes_expiry ON channel_codes (expires_at);

CREATE TABLE channel_pairings (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    sender TEXT NOT NULL,
    name TEXT NOT NULL,
    place TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX channel_pairings_sender ON channel_pairings (channel, sender);
CREATE INDEX channel_pairings_pending ON channel_pairings (status, created_at DESC, id DESC);

CREATE TABLE channel_chats (
    channel TEXT NOT NULL,
    chat TEXT NOT NULL,
    thread TEXT NOT NULL,
    owner TEXT NOT NULL,
    place TEXT NOT NULL,
    conversation_id TEXT REFERENCES conversations (id) ON DELETE SET NULL,
    model TEXT NOT NULL,
    mode TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (channel, chat, thread, owner)
);
CREATE INDEX channel_chats_list ON channel_chats (owner, changed_at DESC);
CREATE INDEX channel_chats_conversation ON channel_chats (conversation_id) WHERE conversation_id IS NOT NULL;

-- A row that is open is the job itself. `message` is the platform's id of what a person wrote.
CREATE TABLE channel_arrivals (
    id TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    event_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    message TEXT NOT NULL,
    event TEXT NOT NULL,
    response_id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    open BIGINT NOT NULL
);
CREATE UNIQUE INDEX channel_arrivals_event ON channel_arrivals (channel, event_id);
CREATE INDEX channel_arrivals_open ON channel_arrivals (channel, id) WHERE open = 1;
CREATE INDEX channel_arrivals_message ON channel_arrivals (channel, chat, message, id);
CREATE INDEX channel_arrivals_newest ON channel_arrivals (channel, received_at);

CREATE TABLE channel_deliveries (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    channel TEXT NOT NULL,
    place TEXT NOT NULL,
    content TEXT NOT NULL,
    response_id TEXT,
    key TEXT,
    created_at BIGINT NOT NULL,
    open BIGINT NOT NULL
);
CREATE UNIQUE INDEX channel_deliveries_key ON channel_deliveries (key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX channel_deliveries_response ON channel_deliveries (response_id, channel)
    WHERE response_id IS NOT NULL;
CREATE INDEX channel_deliveries_answers ON channel_deliveries (channel, id) WHERE response_id IS NOT NULL;
CREATE INDEX channel_deliveries_open ON channel_deliveries (channel, id) WHERE open = 1;

-- Stored before the call that sends it; `platform_id` is empty until that call is known to have been carried out.
CREATE TABLE channel_messages (
    delivery_id TEXT NOT NULL REFERENCES channel_deliveries (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    channel TEXT NOT NULL,
    chat TEXT NOT NULL,
    platform_id TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    PRIMARY KEY (delivery_id, position)
);
CREATE INDEX channel_messages_platform ON channel_messages (channel, chat, platform_id);
