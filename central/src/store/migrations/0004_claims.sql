-- Claim codes, by their digest. A row begins with either half: the event of the terminal that printed
-- the code (sale, terminal, epoch, seq, offered_ms), or the wish of the account that entered it
-- (account, asked_ms and what the settings said then).
CREATE TABLE claims (
    claim {key} PRIMARY KEY,
    store {key},
    workstation {key},
    business_day {key},
    sequence {key},
    terminal {key},
    epoch {key},
    seq BIGINT,
    -- By central's clock, as far as the terminal knew it.
    offered_ms BIGINT,
    account {key},
    asked_ms BIGINT,
    -- When the wish ends, if the other half or the sale has not come.
    waits_until_ms BIGINT,
    -- An offer older than this is expired.
    offered_since_ms BIGINT,
    -- offered, waiting, redeemed or refused
    state TEXT NOT NULL,
    decided_ms BIGINT,
    reason TEXT,
    binding {key}
);
-- Small: what waits is bounded for each account and ends.
CREATE INDEX claims_waiting_of_account ON claims (account) WHERE state = 'waiting';
CREATE INDEX claims_waiting_at_place ON claims (store, workstation) WHERE state = 'waiting';
CREATE INDEX claims_waiting_until ON claims (waits_until_ms) WHERE state = 'waiting';
CREATE UNIQUE INDEX claims_one_of_sale
    ON claims (store, workstation, business_day, sequence) WHERE state = 'redeemed';

-- The account that claimed a sale without a card: its points are the account's member's.
ALTER TABLE transactions ADD COLUMN account {key};

-- What an older program stored without knowing it: `quarantine replay --all` takes it in.
INSERT INTO quarantine (terminal, epoch, seq, kind, reason, quarantined_ms)
SELECT terminal, epoch, seq, kind, 'it came before headquarters knew claim codes', received_ms
FROM events WHERE kind = 'claim_offered'
ON CONFLICT (terminal, epoch, seq) DO NOTHING;
