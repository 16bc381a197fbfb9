-- From the schema's version 7 to 8: events of mails that are not known yet, and the calls before the last one.

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
