-- From the schema's version 5 to 6: whose mailbox a letter went to, and how many were confirmation letters.

ALTER TABLE letter ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
CREATE INDEX letter_mailbox ON letter (mailbox, mailed_at) WHERE mailbox != '';
CREATE INDEX letter_confirmation ON letter (mailed_at) WHERE kind = 'confirm' AND mailed_at != '';
