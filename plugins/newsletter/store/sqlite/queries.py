"""The SQL of the SQLite store, each statement under the name of what it does."""

from __future__ import annotations

ADD = """
INSERT INTO subscriber (public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address_key) DO NOTHING
"""
WITHDRAW = """
UPDATE subscriber SET subscription = 'unsubscribed' WHERE address_key = ? AND subscription != 'unsubscribed'
"""
# Why a subscriber must not be mailed, or NULL. Every way to a mail goes through this one expression.
REASON = """
CASE WHEN suppression.address_key IS NOT NULL THEN 'suppressed: ' || suppression.reason
     WHEN subscriber.id IS NULL THEN 'erased'
     WHEN subscriber.subscription != 'confirmed' THEN subscriber.subscription
     WHEN subscriber.paused_until > :at THEN 'paused' END
"""
# An erratum goes to those who have the wrong version, and to nobody else: a briefing to everybody.
AUDIENCE = """
(:corrects = '' OR EXISTS (SELECT 1 FROM recipient AS had WHERE had.briefing = :corrects
    AND had.subscriber = subscriber.id AND had.state IN ('submitted', 'delivered', 'bounced', 'complained')))
"""
FREEZE = f"""
INSERT INTO recipient (briefing, number, subscriber, public_id, address, address_key, changed_at)
SELECT :briefing, subscriber.id, subscriber.id, public_id, address, subscriber.address_key, :at
FROM subscriber LEFT JOIN suppression USING (address_key) WHERE {REASON} IS NULL AND {AUDIENCE}
ORDER BY subscriber.id
"""  # noqa: S608 - put together from constants
EXCLUDE = f"""
INSERT INTO exclusion (briefing, subscriber, reason)
SELECT :briefing, subscriber.id, {REASON}
FROM subscriber LEFT JOIN suppression USING (address_key) WHERE {REASON} IS NOT NULL AND {AUDIENCE}
"""  # noqa: S608 - put together from constants
NEXT = f"""
SELECT number, recipient.address, recipient.public_id, tries, {REASON}
FROM recipient
LEFT JOIN subscriber ON subscriber.id = recipient.subscriber AND subscriber.public_id = recipient.public_id
LEFT JOIN suppression ON suppression.address_key = recipient.address_key
WHERE briefing = :briefing AND state = 'pending'
  AND (:first = '' OR recipient.address_key IN (SELECT value FROM json_each(:first)))
ORDER BY number LIMIT :limit
"""  # noqa: S608 - put together from constants
CLAIM = """
UPDATE recipient SET state = 'claimed', attempt = ?, changed_at = ?
WHERE briefing = ? AND number = ? AND state = 'pending'
"""
RECORD = """
UPDATE recipient SET state = ?, message_id = ?, evidence = ?, changed_at = ?, tries = tries + ?
WHERE briefing = ? AND number = ? AND attempt = ? AND state = 'claimed'
"""
PROVEN = """
UPDATE recipient SET message_id = iif(message_id = '', ?, message_id)
WHERE briefing = ? AND number = ? AND attempt = ?
  AND state IN ('submitted', 'delivered', 'bounced', 'complained', 'failed')
"""
SHOW = """
UPDATE recipient SET state = ?, message_id = iif(message_id = '', ?, message_id), evidence = ?, changed_at = ?
WHERE briefing = ? AND number = ?
"""
NAME = "UPDATE recipient SET message_id = ? WHERE briefing = ? AND number = ? AND message_id = ''"
WHOSE = "SELECT briefing, number, state, subscriber, address_key, message_id FROM recipient WHERE "
DOUBTS = """
SELECT recipient.attempt, attempt.made_at, count(*),
       (SELECT count(DISTINCT number) FROM evidence WHERE evidence.attempt = recipient.attempt)
FROM recipient JOIN attempt ON attempt.id = recipient.attempt
WHERE recipient.briefing = ? AND state = 'in_doubt' GROUP BY recipient.attempt ORDER BY attempt.made_at
"""
BLIND = """
SELECT count(*) FROM recipient JOIN attempt ON attempt.id = recipient.attempt
WHERE recipient.briefing = ? AND attempt.made_at >= ? AND state = 'submitted'
  AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.briefing = recipient.briefing
                  AND evidence.number = recipient.number)
"""
RELEASE = """
UPDATE recipient SET state = ?, evidence = ?, changed_at = ?
WHERE briefing = ? AND attempt = ? AND state = 'in_doubt'
"""
TRACE = """
SELECT number, address, state, evidence, message_id, changed_at, frozen_at
FROM recipient JOIN send USING (briefing)
WHERE briefing = :briefing AND (:key = '' OR address_key = :key) ORDER BY number
"""
TRACE_EXCLUDED = """
SELECT coalesce(address, '(erased)'), reason, frozen_at
FROM exclusion JOIN send USING (briefing) LEFT JOIN subscriber ON subscriber.id = exclusion.subscriber
WHERE briefing = :briefing AND (:key = '' OR address_key = :key) ORDER BY subscriber
"""
# In how many of the last three briefings that were tried did this subscriber's mail come back softly, and nothing
# better come of it? Errata do not count: a full mailbox is given three months, not one bad week.
SOFT = """
SELECT count(*) FROM (
    SELECT briefing, number, state FROM recipient JOIN send USING (briefing)
    WHERE subscriber = ? AND attempt IS NOT NULL AND corrects = '' ORDER BY briefing DESC LIMIT 3
) AS tried
WHERE tried.state = 'bounced' AND EXISTS (SELECT 1 FROM evidence WHERE evidence.briefing = tried.briefing
    AND evidence.number = tried.number AND kind = 'soft_bounce')
"""
SKIP = """
UPDATE recipient SET state = 'skipped', evidence = ?, changed_at = ?
WHERE briefing = ? AND number = ? AND state = 'pending'
"""
HOLD = """
UPDATE recipient SET state = 'in_doubt', evidence = 'the sender ended before SES answered', changed_at = ?
WHERE briefing = ? AND state = 'claimed'
"""
