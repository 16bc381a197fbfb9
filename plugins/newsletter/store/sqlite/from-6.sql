-- From the schema's version 6 to 7: several workers at one mailing, and the rate they share.

ALTER TABLE turn ADD COLUMN open_until TEXT NOT NULL DEFAULT '';
ALTER TABLE turn ADD COLUMN stopped TEXT NOT NULL DEFAULT '';
CREATE TABLE pace (
    account TEXT PRIMARY KEY,
    free_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
