-- Words replaced before this runs: {key} is a text that compares byte by byte, as cursors and
-- exports need it; {serial} is a number that the database draws. Times are milliseconds since
-- 1970-01-01 UTC by central's clock. Flags are 0 or 1. What no statement asks for has no index: each
-- one costs every event.

CREATE TABLE meta (
    name {key} PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row. Its lock is held from the drawing of a version to the commit, so that versions become
-- visible in their order and a cursor never passes one that is still on its way.
CREATE TABLE change_counter (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL
);
INSERT INTO change_counter (one, version) VALUES (1, 0);

CREATE TABLE terminals (
    terminal {key} PRIMARY KEY,
    store {key} NOT NULL,
    workstation {key} NOT NULL,
    serial {key} NOT NULL,
    serial_pending {key},
    certificate TEXT NOT NULL,
    machine TEXT NOT NULL,
    version TEXT NOT NULL,
    enrolled_ms BIGINT NOT NULL,
    superseded_ms BIGINT,
    revoked_ms BIGINT,
    refused_ms BIGINT,
    refused_reason TEXT,
    last_seen_ms BIGINT,
    epoch {key},
    outbox_events BIGINT,
    clock_offset_ms BIGINT
);
CREATE INDEX terminals_place ON terminals (store, workstation);

CREATE TABLE tokens (
    secret_hash {key} PRIMARY KEY,
    store {key} NOT NULL,
    workstation {key} NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT,
    used_key TEXT,
    terminal {key}
);

CREATE TABLE streams (
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    watermark BIGINT NOT NULL,
    chain TEXT NOT NULL,
    forked_from {key},
    forked_at BIGINT,
    first_seen_ms BIGINT NOT NULL,
    PRIMARY KEY (terminal, epoch)
);

CREATE TABLE events (
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    seq BIGINT NOT NULL,
    chain TEXT NOT NULL,
    recorded_ms BIGINT,
    clock_offset_ms BIGINT,
    received_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (terminal, epoch, seq)
);

CREATE TABLE gaps (
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT NOT NULL,
    reason TEXT NOT NULL,
    reported_ms BIGINT NOT NULL,
    -- How many of its events came after all, from a restored disk.
    filled BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (terminal, epoch, from_seq)
);

CREATE TABLE quarantine (
    id {serial},
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    quarantined_ms BIGINT NOT NULL,
    mended TEXT,
    resolved_ms BIGINT,
    resolution TEXT,
    UNIQUE (terminal, epoch, seq)
);

CREATE TABLE transactions (
    store {key} NOT NULL,
    workstation {key} NOT NULL,
    business_day {key} NOT NULL,
    sequence {key} NOT NULL,
    kind TEXT NOT NULL,
    began_ms BIGINT,
    ended_ms BIGINT,
    recorded_ms BIGINT NOT NULL,
    clock_offset_ms BIGINT NOT NULL,
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    discount_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    tax_included BIGINT NOT NULL,
    items TEXT NOT NULL,
    tenders TEXT NOT NULL,
    card {key},
    training BIGINT NOT NULL,
    source TEXT NOT NULL,
    sources TEXT NOT NULL,
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (store, workstation, business_day, sequence)
);

CREATE TABLE members (
    member {key} PRIMARY KEY,
    name TEXT,
    points BIGINT NOT NULL,
    tier TEXT,
    created_ms BIGINT NOT NULL,
    merged_into {key},
    version BIGINT NOT NULL
);
CREATE INDEX members_version ON members (version, member);

CREATE TABLE accounts (
    account {key} PRIMARY KEY,
    platform {key} NOT NULL,
    member {key} NOT NULL REFERENCES members (member),
    created_ms BIGINT NOT NULL
);
CREATE INDEX accounts_member ON accounts (member);

CREATE TABLE cards (
    card {key} PRIMARY KEY,
    kind TEXT NOT NULL,
    member {key} REFERENCES members (member),
    points BIGINT NOT NULL,
    first_seen_ms BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX cards_version ON cards (version, card);
CREATE INDEX cards_member ON cards (member) WHERE member IS NOT NULL;

CREATE TABLE bindings (
    id {key} PRIMARY KEY,
    card {key} NOT NULL,
    account {key} NOT NULL,
    platform {key} NOT NULL,
    member {key},
    state TEXT NOT NULL,
    evidence TEXT NOT NULL,
    evidence_body TEXT NOT NULL,
    nonce {key},
    terminal {key} NOT NULL,
    epoch {key} NOT NULL,
    seq BIGINT NOT NULL,
    requested_ms BIGINT NOT NULL,
    decided_ms BIGINT,
    reason TEXT,
    -- The confirmed binding of the same card and account that this one asked for again.
    repeats {key},
    version BIGINT NOT NULL
);
CREATE INDEX bindings_version ON bindings (version, id);
CREATE INDEX bindings_card ON bindings (card);
CREATE INDEX bindings_account ON bindings (account);
CREATE INDEX bindings_nonce ON bindings (nonce) WHERE nonce IS NOT NULL;
CREATE UNIQUE INDEX bindings_one_account_per_platform
    ON bindings (card, platform) WHERE state = 'confirmed' AND repeats IS NULL;

CREATE TABLE ledger (
    entry {serial},
    kind {key} NOT NULL,
    reference {key} NOT NULL,
    card {key},
    member {key},
    points BIGINT NOT NULL,
    booked_ms BIGINT NOT NULL,
    UNIQUE (kind, reference)
);
CREATE INDEX ledger_card ON ledger (card) WHERE card IS NOT NULL;

CREATE TABLE disputes (
    id {key} PRIMARY KEY,
    card {key} NOT NULL,
    platform {key} NOT NULL,
    holder_account {key} NOT NULL,
    holder_binding {key},
    claimant_account {key} NOT NULL,
    claimant_binding {key} NOT NULL,
    reason TEXT NOT NULL,
    opened_ms BIGINT NOT NULL,
    settled_ms BIGINT,
    settled_to {key},
    settled_by TEXT
);
CREATE INDEX disputes_card ON disputes (card);

CREATE TABLE keys (
    kid {key} PRIMARY KEY,
    ed25519 TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    retired_ms BIGINT
);

CREATE TABLE api_keys (
    id {key} PRIMARY KEY,
    key_hash {key} NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    revoked_ms BIGINT
);

CREATE TABLE audit (
    entry {serial},
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
