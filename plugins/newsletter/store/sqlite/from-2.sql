-- From the schema's version 2 to 3: turns, errata, the first slice; a subscriber's number is never used again.

ALTER TABLE send ADD COLUMN corrects TEXT NOT NULL DEFAULT '';
ALTER TABLE send ADD COLUMN sound_at TEXT NOT NULL DEFAULT '';
CREATE TABLE turn (
    briefing TEXT NOT NULL,
    number   INTEGER NOT NULL,
    owner    TEXT NOT NULL,
    made_at  TEXT NOT NULL,
    taken_at TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (briefing, number)
) STRICT, WITHOUT ROWID;

ALTER TABLE subscriber RENAME TO subscriber_2;
CREATE TABLE subscriber (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id     BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    address       TEXT NOT NULL,
    address_key   TEXT NOT NULL UNIQUE,
    subscription  TEXT NOT NULL CHECK (subscription IN ('pending', 'confirmed', 'unsubscribed')),
    name          TEXT NOT NULL DEFAULT '',
    subscribed_at TEXT NOT NULL DEFAULT '',
    confirmed_at  TEXT NOT NULL DEFAULT '',
    source        TEXT NOT NULL DEFAULT '',
    paused_until  TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO subscriber (id, public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source)
SELECT id, public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source FROM subscriber_2;
DROP TABLE subscriber_2;

ALTER TABLE recipient ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
