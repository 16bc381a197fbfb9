"""The SQL of the SQLite store, each statement under the name of what it does."""

from __future__ import annotations

from functools import cache

from newsletter.store.ledger import WITHDRAWN


@cache
def add(rows: int) -> str:
    """Add so many subscribers by one statement: each by its own would take half as long again."""
    return f"""
        INSERT INTO subscriber
            (public_id, address, address_key, subscription, name, subscribed_at, confirmed_at, source)
        VALUES {", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * rows)} ON CONFLICT (address_key) DO NOTHING
    """  # noqa: S608 - placeholders


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
(:corrects = '' OR subscriber.id IN (SELECT subscriber FROM recipient
    WHERE briefing = :corrects AND state IN ('submitted', 'delivered', 'bounced', 'complained')))
"""
# Each subscriber with its suppression. Those are few: their numbers are found first, and looked up faster than each of
# a million addresses.
SUPPRESSED = """
WITH suppressed AS MATERIALIZED
    (SELECT id AS number, suppression.* FROM suppression JOIN subscriber USING (address_key))
"""
EVERYBODY = "subscriber LEFT JOIN suppressed AS suppression ON suppression.number = subscriber.id"
FREEZE = f"""
{SUPPRESSED}
INSERT INTO recipient (briefing, number, subscriber, public_id, address, address_key, changed_at)
SELECT :briefing, subscriber.id, subscriber.id, public_id, address, subscriber.address_key, :at
FROM {EVERYBODY} WHERE {REASON} IS NULL
"""  # noqa: S608 - put together from constants
# One that reads the table it writes keeps all of it twice for a while, so only an erratum does.
FREEZE_ERRATUM = f"{FREEZE} AND {AUDIENCE}"
EXCLUDE = f"""
{SUPPRESSED}
INSERT INTO exclusion (briefing, subscriber, reason)
SELECT :briefing, subscriber.id, {REASON} FROM {EVERYBODY} WHERE {REASON} IS NOT NULL AND {AUDIENCE}
  AND subscriber.id IN (SELECT number FROM suppressed UNION ALL
      SELECT id FROM subscriber WHERE subscription != 'confirmed' OR paused_until != '')
"""  # noqa: S608 - put together from constants
# Nobody gets what was withdrawn, found to be unmailed later or not.
_NEXT = f"""
SELECT number, recipient.address, recipient.public_id, tries,
    CASE WHEN (SELECT withdrawn FROM send WHERE briefing = :briefing) != '' THEN '{WITHDRAWN}' ELSE {REASON} END
FROM recipient INDEXED BY recipient_open
LEFT JOIN subscriber ON subscriber.id = recipient.subscriber AND subscriber.public_id = recipient.public_id
LEFT JOIN suppression ON suppression.address_key = recipient.address_key
WHERE briefing = :briefing AND state = 'pending'
"""  # noqa: S608 - put together from constants
NEXT = f"{_NEXT} ORDER BY number LIMIT :limit"
NEXT_OF_BATCH = f"{_NEXT} AND number BETWEEN :first AND :last ORDER BY number LIMIT :limit"
# Neighbours by their numbers, fifty at a time: the first and the last number of each batch.
BATCHES = """
SELECT min(number), max(number) FROM (
    SELECT number, (row_number() OVER (ORDER BY number) - 1) / 50 AS batch
    FROM recipient INDEXED BY recipient_open WHERE briefing = ? AND state = 'pending'
) GROUP BY batch ORDER BY 1
"""
WAITING = """
SELECT count(*) FROM recipient INDEXED BY recipient_open
WHERE briefing = ? AND state = 'pending' AND number BETWEEN ? AND ?
"""
NEXT_OF_THESE = f"""
{_NEXT} AND number IN (SELECT id FROM subscriber WHERE address_key IN (SELECT value FROM json_each(:first)))
ORDER BY number LIMIT :limit
"""  # noqa: S608 - put together from constants
CLAIM = """
UPDATE recipient SET state = 'claimed', attempt = ?, changed_at = ?
WHERE briefing = ? AND number IN (SELECT value FROM json_each(?)) AND state = 'pending'
"""
EARLIER = """
INSERT INTO earlier (briefing, number, attempt, ended_at, evidence)
SELECT briefing, number, attempt, changed_at, evidence FROM recipient
WHERE briefing = ? AND number IN (SELECT value FROM json_each(?)) AND attempt IS NOT NULL
"""
CLAIMED = """
SELECT number FROM recipient INDEXED BY recipient_attempt
WHERE briefing = ? AND attempt = ? AND (state = 'claimed' OR state = 'in_doubt')
"""
RECORD = """
UPDATE recipient SET state = ?, message_id = ?, evidence = ?, changed_at = ?, tries = tries + ?
WHERE briefing = ? AND number = ?
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
# By our tags, where a number has no sign.
TAGGED = f"{WHOSE} briefing = :briefing AND number IN (:number, -:number)"
NAMED = f"{WHOSE} message_id = :message_id AND message_id != ''"
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
# Under which turn workers act.
OPEN_TURN = """
UPDATE turn SET open_until = :until
WHERE briefing = :briefing AND number = :number AND taken_at != '' AND stopped = ''
  AND number = (SELECT max(number) FROM turn WHERE briefing = :briefing)
"""
STOP_TURN = "UPDATE turn SET stopped = ? WHERE briefing = ? AND number = ? AND stopped = ''"
BEGIN_PACE = """
INSERT INTO pace (account, free_at) VALUES (:account, :until)
ON CONFLICT (account) DO UPDATE SET free_at = :until WHERE free_at < :now
"""
EXTEND_PACE = """
UPDATE pace SET free_at = free_at + :by WHERE account = :account AND free_at BETWEEN :now AND :latest
"""
RELEASE = """
UPDATE recipient INDEXED BY recipient_attempt SET state = ?, evidence = ?, changed_at = ?
WHERE briefing = ? AND attempt = ? AND state = 'in_doubt'
"""
# Whoever is pending in what was withdrawn is not to get it.
CLOSE_WITHDRAWN = """
UPDATE recipient INDEXED BY recipient_open SET state = 'skipped', evidence = ?, changed_at = ?
WHERE briefing = ? AND state = 'pending' AND (SELECT withdrawn FROM send WHERE send.briefing = recipient.briefing) != ''
"""
TRACE = """
SELECT number, address, state, evidence, message_id, changed_at, frozen_at
FROM recipient JOIN send USING (briefing)
WHERE briefing = :briefing AND (:key = '' OR address_key = :key) ORDER BY number
"""
# Each call made for a recipient, and how each but the last ended.
CALLS = """
WITH made AS (SELECT attempt, ended_at, evidence FROM earlier WHERE briefing = ?1 AND number = ?2
    UNION ALL SELECT attempt, '', '' FROM recipient WHERE briefing = ?1 AND number = ?2 AND attempt IS NOT NULL)
SELECT made_at, 'called', attempt FROM made JOIN attempt ON attempt.id = made.attempt
UNION ALL SELECT ended_at, 'pending', trim(attempt || ' ' || evidence) FROM made WHERE ended_at != ''
"""
TRACE_EXCLUDED = """
SELECT coalesce(address, '(erased)'), reason, frozen_at
FROM exclusion JOIN send USING (briefing) LEFT JOIN subscriber ON subscriber.id = exclusion.subscriber
WHERE briefing = :briefing AND (:key = '' OR address_key = :key) ORDER BY subscriber
"""
# Somebody's rows in every sending, by the primary key. A recipient's number is its subscriber's, except below zero.
MINE = """
briefing IN (SELECT briefing FROM send) AND subscriber = :number AND number IN (
    SELECT :number UNION ALL SELECT old.number FROM send CROSS JOIN recipient AS old USING (briefing)
    WHERE old.number < 0 AND old.subscriber = :number)
"""
# In how many of the last three briefings that were tried did this subscriber's mail come back softly, and nothing
# better come of it? Errata do not count: a full mailbox is given three months, not one bad week.
SOFT = f"""
SELECT count(*) FROM (
    SELECT briefing, number, state FROM recipient JOIN send USING (briefing)
    WHERE {MINE} AND attempt IS NOT NULL AND corrects = '' ORDER BY briefing DESC LIMIT 3
) AS tried
WHERE tried.state = 'bounced' AND EXISTS (SELECT 1 FROM evidence WHERE evidence.briefing = tried.briefing
    AND evidence.number = tried.number AND kind = 'soft_bounce')
"""  # noqa: S608 - put together from constants
SKIP = """
UPDATE recipient SET state = 'skipped', evidence = ?, changed_at = ?
WHERE briefing = ? AND number = ? AND state = 'pending'
"""
HOLD = """
UPDATE recipient INDEXED BY recipient_attempt SET state = 'in_doubt', evidence = 'the sender ended before SES answered', changed_at = ?
WHERE briefing = ? AND state = 'claimed'
"""
# What the mails of a discarded run suppressed: each suppression by events begins its evidence with the mail's own id.
UNSUPPRESS_DISCARDED = """
DELETE FROM suppression WHERE reason IN ('hard_bounce', 'soft_bounces', 'complaint')
  AND substr(evidence, 1, instr(evidence || ' ', ' ') - 1) IN (
      SELECT message_id FROM evidence WHERE briefing = ? AND message_id != '')
"""
