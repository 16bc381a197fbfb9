-- From the schema's version 1 to 2: the evidence of SES's events, and the calls it is about.

ALTER TABLE send ADD COLUMN through TEXT NOT NULL DEFAULT '';
ALTER TABLE recipient ADD COLUMN message_id TEXT NOT NULL DEFAULT '';
UPDATE recipient SET message_id = evidence, evidence = 'accepted by SES' WHERE state = 'submitted';

CREATE TABLE suppression_2 (
    address_key TEXT PRIMARY KEY,
    reason      TEXT NOT NULL CHECK (reason IN ('hard_bounce', 'soft_bounces', 'complaint', 'operator')),
    at          TEXT NOT NULL,
    evidence    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO suppression_2 SELECT * FROM suppression;
DROP TABLE suppression;
ALTER TABLE suppression_2 RENAME TO suppression;

CREATE INDEX recipient_message ON recipient (message_id) WHERE message_id != '';

-- The calls of SES, each written down before it was made.
CREATE TABLE attempt (
    id          TEXT PRIMARY KEY, -- 32 hex digits, in the tags of its mails
    briefing    TEXT NOT NULL REFERENCES send,
    made_at     TEXT NOT NULL,
    answered_at TEXT NOT NULL DEFAULT '' -- when its outcome was recorded; '' while nobody knows
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_briefing ON attempt (briefing, made_at);

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

-- Every claim of then is a call of now.
INSERT INTO attempt (id, briefing, made_at, answered_at)
SELECT attempt, briefing, min(changed_at), iif(max(state = 'in_doubt' OR state = 'claimed'), '', max(changed_at))
FROM recipient WHERE attempt IS NOT NULL GROUP BY attempt;
