-- How a terminal's outbox and disk are, as its hello says since version 2 of the exchange.
ALTER TABLE terminals ADD COLUMN outbox_bytes BIGINT;
ALTER TABLE terminals ADD COLUMN disk TEXT;
ALTER TABLE terminals ADD COLUMN sacrificed BIGINT;
ALTER TABLE terminals ADD COLUMN quarantined BIGINT;
