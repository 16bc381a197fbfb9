-- The whole database. user_version counts the schema's versions; database.py moves an older one forward.
-- Moments are ISO 8601 texts in UTC. A state is one text column, and states.py has the table of its steps.
-- Where a million rows are written, what they may hold is asked with OR: SQLite looks IN a list of three or more up
-- in a table that it makes for each row, which takes as long as all the rest of the row.

CREATE TABLE subscriber (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, so a ledger can name by it
    public_id     BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16), -- random; what tokens carry
    address       TEXT NOT NULL,                                      -- as typed; what mail is sent to
    address_key   TEXT NOT NULL UNIQUE,                               -- one person, one row
    subscription  TEXT NOT NULL CHECK
        (subscription = 'confirmed' OR subscription = 'unsubscribed' OR subscription = 'pending'),
    name          TEXT NOT NULL DEFAULT '',
    subscribed_at TEXT NOT NULL DEFAULT '',
    confirmed_at  TEXT NOT NULL DEFAULT '',
    source        TEXT NOT NULL DEFAULT '',
    paused_until  TEXT NOT NULL DEFAULT ''  -- no briefing before that moment
) STRICT;
-- Those whom a freeze may have to leave out, the suppressed apart: it need not look through everybody for them.
CREATE INDEX subscriber_apart ON subscriber (id) WHERE subscription != 'confirmed' OR paused_until != '';

-- Addresses never to be mailed again: kept even when the subscriber is erased, so by key alone.
CREATE TABLE suppression (
    address_key TEXT PRIMARY KEY,
    reason      TEXT NOT NULL CHECK (reason IN ('hard_bounce', 'soft_bounces', 'complaint', 'operator')),
    at          TEXT NOT NULL,
    evidence    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a briefing that has been frozen: exactly what is mailed, whatever happens to the files. With its rows so long
-- it must not be WITHOUT ROWID: whoever looks a briefing up would read all of its package to compare the key.
CREATE TABLE send (
    briefing     TEXT NOT NULL PRIMARY KEY,
    content_hash TEXT NOT NULL,
    package      TEXT NOT NULL, -- JSON
    frozen_at    TEXT NOT NULL,
    through      TEXT NOT NULL DEFAULT '', -- which SES: a practice run on this machine is not the real one
    corrects     TEXT NOT NULL DEFAULT '', -- the briefing whose recipients this erratum goes to
    sound_at     TEXT NOT NULL DEFAULT '', -- when the events of the first slice were found sound
    withdrawn    TEXT NOT NULL DEFAULT ''  -- when a person said that nobody further is to get it
) STRICT;

-- To whom. Neither a subscriber nor an address stands twice in one briefing: a recipient's number is its subscriber's
-- (below zero in a sending begun by the schema's version 2, which counted anew), a freeze takes all of them by one
-- statement from `subscriber`, where addresses are unique, and the trigger sees to those whose address changes later.
CREATE TABLE recipient (
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
CREATE INDEX recipient_open ON recipient (briefing, number) WHERE state = 'pending';
CREATE INDEX recipient_attempt ON recipient (briefing, attempt) WHERE state = 'claimed' OR state = 'in_doubt';
CREATE INDEX recipient_message ON recipient (message_id) WHERE message_id != '';
CREATE TRIGGER recipient_address BEFORE UPDATE OF address_key ON recipient
WHEN new.state = 'pending' AND new.address_key != old.address_key AND EXISTS
    (SELECT 1 FROM recipient WHERE briefing = new.briefing AND address_key = new.address_key)
BEGIN SELECT raise(ABORT, 'an address would stand twice in one briefing'); END;

-- The sender's turns at a briefing, each written down before SES was asked to remember it too (a template of that
-- name). They outlive `discard`: SES forgets none either.
CREATE TABLE turn (
    briefing TEXT NOT NULL,
    number   INTEGER NOT NULL,
    owner    TEXT NOT NULL,            -- random: whose turn it is
    made_at  TEXT NOT NULL,
    taken_at TEXT NOT NULL DEFAULT '', -- when SES had said that it is ours
    open_until TEXT NOT NULL DEFAULT '', -- until when workers may act under it
    stopped  TEXT NOT NULL DEFAULT '', -- why they must not any more
    PRIMARY KEY (briefing, number)
) STRICT, WITHOUT ROWID;

-- The calls of SES, each written down before it was made.
CREATE TABLE attempt (
    id          TEXT PRIMARY KEY, -- 32 hex digits, in the tags of its mails
    briefing    TEXT NOT NULL REFERENCES send,
    made_at     TEXT NOT NULL,
    answered_at TEXT NOT NULL DEFAULT '' -- when its outcome was recorded; '' while nobody knows
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_briefing ON attempt (briefing, made_at);

-- Up to when the account's time has been given out, in microseconds since 1970 (shared_pace.py).
CREATE TABLE pace (
    account TEXT PRIMARY KEY,
    free_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Mails to SES's own simulator that show whether its events still come.
CREATE TABLE canary (
    id        TEXT PRIMARY KEY,
    mailed_at TEXT NOT NULL,
    seen_at   TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- What SES told of a mail afterwards, each thing once, in whatever order it came.
CREATE TABLE evidence (
    briefing   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind = 'send' OR kind = 'delivery' OR kind = 'hard_bounce' OR kind = 'soft_bounce'
        OR kind = 'complaint' OR kind = 'delivery_delay' OR kind = 'reject' OR kind = 'rendering_failure'),
    message_id TEXT NOT NULL,
    attempt    TEXT NOT NULL,
    at         TEXT NOT NULL,
    detail     TEXT NOT NULL,
    PRIMARY KEY (briefing, number, kind, message_id),
    FOREIGN KEY (briefing, number) REFERENCES recipient (briefing, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_attempt ON evidence (attempt, number);

-- What SES told of a mail without our tags, before anybody knew whose mail it was: tried again for a day.
CREATE TABLE stray (
    message_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    at         TEXT NOT NULL,
    recipient  TEXT NOT NULL, -- the address, as SES has it
    detail     TEXT NOT NULL,
    PRIMARY KEY (message_id, kind, recipient)
) STRICT, WITHOUT ROWID;

-- The calls that a recipient was claimed for before the last one, and what became of each: only for those who were
-- claimed more than once.
CREATE TABLE earlier (
    briefing TEXT NOT NULL,
    number   INTEGER NOT NULL,
    attempt  TEXT NOT NULL,
    ended_at TEXT NOT NULL, -- when it was over for this recipient
    evidence TEXT NOT NULL, -- why it was claimed again, in words
    PRIMARY KEY (briefing, number, attempt),
    FOREIGN KEY (briefing, number) REFERENCES recipient (briefing, number)
) STRICT, WITHOUT ROWID;

-- Who was left out when the recipients were frozen, and why.
CREATE TABLE exclusion (
    briefing   TEXT NOT NULL REFERENCES send,
    subscriber INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (briefing, subscriber)
) STRICT, WITHOUT ROWID;
