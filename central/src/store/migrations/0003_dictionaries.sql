-- Compression dictionaries that were handed to terminals. None is ever removed: a terminal may come
-- back with one after months.
CREATE TABLE dictionaries (
    id BIGINT PRIMARY KEY,
    -- base64
    bytes TEXT NOT NULL,
    records BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- How far recorded_ms may be off; nothing where the terminal had never seen central's clock.
ALTER TABLE transactions ADD COLUMN recorded_uncertainty_ms BIGINT;
