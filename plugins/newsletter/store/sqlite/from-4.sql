-- From the schema's version 4 to 5: through which SES a letter went.

ALTER TABLE letter ADD COLUMN through TEXT NOT NULL DEFAULT '';
