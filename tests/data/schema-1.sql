-- The whole database. user_version counts the schema's versions; sqlite.py moves an older one forward.
-- Moments are ISO 8601 texts in UTC. A state is one text column, and states.py has the table of its steps.

CREATE TABLE subscriber (
    id            INTEGER PRIMARY KEY,
    public_id     BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16), -- random; what tokens carry
    address       TEXT NOT NULL,                                      -- as typed; what mail is sent to
    address_key   TEXT NOT NULL UNIQUE,                               -- one person, one row
    subscription  TEXT NOT NULL CHECK (subscription IN ('pending', 'confirmed', 'unsubscribed')),
    name          TEXT NOT NULL DEFAULT '',
    subscribed_at TEXT NOT NULL DEFAULT '',
    confirmed_at  TEXT NOT NULL DEFAULT '',
    source        TEXT NOT NULL DEFAULT ''
) STRICT;

-- Addresses never to be mailed again: kept even when the subscriber is erased, so by key alone.
CREATE TABLE suppression (
    address_key TEXT PRIMARY KEY,
    reason      TEXT NOT NULL CHECK (reason IN ('hard_bounce', 'complaint', 'operator')),
    at          TEXT NOT NULL,
    evidence    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a briefing that has been frozen: exactly what is mailed, whatever happens to the files.
CREATE TABLE send (
    briefing     TEXT PRIMARY KEY,
    content_hash TEXT NOT NULL,
    package      TEXT NOT NULL, -- JSON
    frozen_at    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- To whom. Neither a subscriber nor an address can stand twice in one briefing.
CREATE TABLE recipient (
    briefing    TEXT NOT NULL REFERENCES send,
    number      INTEGER NOT NULL,
    subscriber  INTEGER NOT NULL,
    public_id   BLOB NOT NULL,
    address     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending' CHECK (state IN
        ('pending', 'claimed', 'submitted', 'delivered', 'bounced', 'complained', 'failed', 'skipped', 'in_doubt')),
    attempt     TEXT,               -- the call it was last claimed for
    evidence    TEXT NOT NULL DEFAULT '', -- SES's message id, or why there is none
    changed_at  TEXT NOT NULL,
    PRIMARY KEY (briefing, number),
    UNIQUE (briefing, subscriber),
    UNIQUE (briefing, address_key)
) STRICT;
CREATE INDEX recipient_open ON recipient (briefing, number) WHERE state = 'pending';
CREATE INDEX recipient_attempt ON recipient (attempt) WHERE state IN ('claimed', 'in_doubt');

-- Who was left out when the recipients were frozen, and why.
CREATE TABLE exclusion (
    briefing   TEXT NOT NULL REFERENCES send,
    subscriber INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (briefing, subscriber)
) STRICT, WITHOUT ROWID;
