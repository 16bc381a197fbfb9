-- From the schema's version 8 to 9: that a briefing was withdrawn is its own, and not to be read off its recipients.

ALTER TABLE send ADD COLUMN withdrawn TEXT NOT NULL DEFAULT '';
UPDATE send SET withdrawn = coalesce(
    (SELECT max(changed_at) FROM recipient WHERE recipient.briefing = send.briefing AND state = 'skipped'
        AND evidence = 'withdrawn by the operator'), '');
