-- What the door keeps: executed after schema.sql, or after from-2.sql.
-- Nothing here but `letter` has an address, and a letter is pruned; everything else names a subscriber by public id.

-- What visitors and subscribers asked for: each row one mail to one person, until it is pruned.
CREATE TABLE letter (
    number      INTEGER PRIMARY KEY,                          -- the order of asking
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16), -- random; what the token of its link carries
    kind        TEXT NOT NULL CHECK (kind IN ('confirm', 'my_page', 'change', 'contact')),
    state       TEXT NOT NULL DEFAULT 'asked' CHECK (state IN
        ('asked', 'claimed', 'submitted', 'failed', 'in_doubt', 'dropped', 'answered')),
    address     TEXT NOT NULL,
    address_key TEXT NOT NULL,
    public_id   BLOB NOT NULL,            -- who asked for a change; empty elsewhere
    asked_at    TEXT NOT NULL,
    asked_ip    TEXT NOT NULL,
    form        TEXT NOT NULL,
    words       TEXT NOT NULL,            -- JSON
    mailed_at   TEXT NOT NULL DEFAULT '', -- when SES was asked; '' where it was not, or said no
    message_id  TEXT NOT NULL DEFAULT '',
    evidence    TEXT NOT NULL DEFAULT '', -- on what the state rests, in words
    changed_at  TEXT NOT NULL DEFAULT '',
    through     TEXT NOT NULL DEFAULT '', -- which SES: what was practice on this machine reached nobody
    mailbox     TEXT NOT NULL DEFAULT ''  -- a keyed hash that all spellings of the mailbox behind the address have in common
) STRICT;
CREATE INDEX letter_open ON letter (number) WHERE state = 'asked';
CREATE INDEX letter_address ON letter (address_key, mailed_at);
CREATE INDEX letter_mailbox ON letter (mailbox, mailed_at) WHERE mailbox != '';
CREATE INDEX letter_confirmation ON letter (mailed_at) WHERE kind = 'confirm' AND mailed_at != '';
CREATE INDEX letter_message ON letter (message_id) WHERE message_id != '';

-- How often something has happened in a stretch of time. A key is a keyed hash or a word, never an address.
CREATE TABLE tally (
    key     TEXT NOT NULL,
    seconds INTEGER NOT NULL, -- how long a stretch is
    stretch INTEGER NOT NULL, -- the how-manieth since 1970
    count   INTEGER NOT NULL,
    PRIMARY KEY (key, seconds, stretch)
) STRICT, WITHOUT ROWID;

-- Every text a sign-up form has had, by its hash.
CREATE TABLE form (
    version TEXT PRIMARY KEY,
    text    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- To what, when and from where a subscriber agreed. For an imported one, subscriber.source says where from.
CREATE TABLE consent (
    public_id    BLOB NOT NULL,
    letter       BLOB NOT NULL, -- the id its link carried
    form         TEXT NOT NULL,
    page         TEXT NOT NULL, -- where the form was filled in
    asked_at     TEXT NOT NULL,
    asked_ip     TEXT NOT NULL,
    message_id   TEXT NOT NULL, -- the confirmation mail
    confirmed_at TEXT NOT NULL,
    confirmed_ip TEXT NOT NULL,
    PRIMARY KEY (public_id, letter)
) STRICT, WITHOUT ROWID;

-- What became of a subscription, and by which way. The same lines are in a file beside the database (journal.py).
CREATE TABLE history (
    public_id BLOB NOT NULL,
    at        TEXT NOT NULL,
    what      TEXT NOT NULL CHECK (what IN ('confirmed', 'unsubscribed', 'paused', 'resumed', 'moved', 'erased')),
    how       TEXT NOT NULL
) STRICT;
CREATE INDEX history_subscriber ON history (public_id);

-- Keyed hashes of addresses that were erased: an import that holds one must not bring it back.
CREATE TABLE erased (
    digest BLOB PRIMARY KEY,
    at     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
