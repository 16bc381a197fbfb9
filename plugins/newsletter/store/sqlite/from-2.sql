-- From the schema's version 2 to 3: turns, errata, the first slice; a subscriber's number is never used again, and is
-- its number as a recipient too.

CREATE TABLE send_3 (
    briefing     TEXT NOT NULL PRIMARY KEY,
    content_hash TEXT NOT NULL,
    package      TEXT NOT NULL,
    frozen_at    TEXT NOT NULL,
    through      TEXT NOT NULL DEFAULT '',
    corrects     TEXT NOT NULL DEFAULT '',
    sound_at     TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO send_3 SELECT briefing, content_hash, package, frozen_at, through, '', '' FROM send;
DROP TABLE send;
ALTER TABLE send_3 RENAME TO send;
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
    subscription  TEXT NOT NULL CHECK
        (subscription = 'confirmed' OR subscription = 'unsubscribed' OR subscription = 'pending'),
    name          TEXT NOT NULL DEFAULT '',
    subscribed_at TEXT NOT NULL DEFAULT '',
    confirmed_at  TEXT NOT NULL DEFAULT '',
    source        TEXT NOT NULL DEFAULT '',
    paused_until  TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO subscriber (id, public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source)
SELECT id, public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source FROM subscriber_2;
DROP TABLE subscriber_2;
CREATE INDEX subscriber_apart ON subscriber (id) WHERE subscription != 'confirmed' OR paused_until != '';

-- Version 2 counted the recipients of each sending anew. Such a number goes below zero where it is not its subscriber's;
-- in the tags of mails that are out it stays above.
CREATE TABLE recipient_3 (
    briefing    TEXT NOT NULL REFERENCES send,
    number      INTEGER NOT NULL,
    subscriber  INTEGER NOT NULL CHECK (subscriber = number OR number < 0),
    public_id   BLOB NOT NULL,
    address     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending' CHECK (state = 'pending' OR state = 'claimed' OR state = 'submitted'
        OR state = 'delivered' OR state = 'bounced' OR state = 'complained' OR state = 'failed' OR state = 'skipped'
        OR state = 'in_doubt'),
    attempt     TEXT,                       -- the call it was last claimed for
    message_id  TEXT NOT NULL DEFAULT '',   -- SES's name for the accepted mail
    evidence    TEXT NOT NULL DEFAULT '',   -- on what the state rests, in words
    tries       INTEGER NOT NULL DEFAULT 0, -- how often SES has answered FAILED
    changed_at  TEXT NOT NULL,
    PRIMARY KEY (briefing, number)
) STRICT, WITHOUT ROWID;
INSERT INTO recipient_3
SELECT briefing, iif(number = subscriber, number, -number), subscriber, public_id, address, address_key, state, attempt,
    message_id, evidence, 0, changed_at FROM recipient;
UPDATE evidence SET number = -number WHERE (briefing, number) NOT IN (SELECT briefing, number FROM recipient_3);
DROP TABLE recipient;
ALTER TABLE recipient_3 RENAME TO recipient;
CREATE INDEX recipient_open ON recipient (briefing, number) WHERE state = 'pending';
CREATE INDEX recipient_attempt ON recipient (briefing, attempt) WHERE state = 'claimed' OR state = 'in_doubt';
CREATE INDEX recipient_message ON recipient (message_id) WHERE message_id != '';
CREATE TRIGGER recipient_address BEFORE UPDATE OF address_key ON recipient
WHEN new.state = 'pending' AND new.address_key != old.address_key AND EXISTS
    (SELECT 1 FROM recipient WHERE briefing = new.briefing AND address_key = new.address_key)
BEGIN SELECT raise(ABORT, 'an address would stand twice in one briefing'); END;
