"""The queues: the one that hands batches to workers, the one that events come back through, and what died in either.

A message that is given out too often without being done is put among the dead letters; without such a place it would
come again until SQS deletes it, and nobody would learn of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.errors import SesError, SettingsError
from newsletter.finding import Finding, broken_by, sound, warning
from newsletter.ses.queue import QueueFacts
from newsletter.turn import ANSWERED

_REACH = (
    "Compare WORK_QUEUE_URL and AWS_REGION, and allow these credentials sqs:SendMessage and sqs:GetQueueAttributes on the "
    "queue; or send without --fan-out."
)
# A worker waits for a slot, makes its call and writes the answer down: so long, in seconds, is the least.
_LEAST = int(ANSWERED.total_seconds())


def work(url: str, found: QueueFacts | SesError | SettingsError, practice: bool) -> Iterator[Finding]:
    """Whether batches can be handed out, and whether one that is being mailed is left to its worker as long as a call
    may take.
    """
    line = "work queue"
    if isinstance(found, SesError | SettingsError):
        yield broken_by(line, found, _REACH)
        return
    waiting = f"; messages waiting: {found.waiting:,}" if found.waiting else ""
    if found.again < _LEAST and not practice:
        yield warning(
            line,
            f"a message comes again after {found.again} seconds, and a call may take {_LEAST}: a second worker "
            "gets it, in vain",
            f"aws sqs set-queue-attributes --queue-url {url} --attributes VisibilityTimeout=120 (720 for functions)",
        )
    else:
        yield sound(line, f"batches can be handed out{waiting}")
    if not practice:
        yield dead_letters(
            "dead batches",
            url,
            found,
            "The next newsletter send --fan-out hands those batches out again by itself. See why",
        )


def dead_letters(line: str, url: str, found: QueueFacts, why: str) -> Finding:
    """Whether a queue sets aside what nobody can do, and whether something lies there. `why` begins what to do then."""
    if found.dead is None:
        rule = r'{"RedrivePolicy": "{\"deadLetterTargetArn\": \"ARN\", \"maxReceiveCount\": \"5\"}"}'
        return warning(
            line,
            "there is no place for them: what nobody can do comes again until SQS deletes it, unseen",
            f"Make a second queue, and name its ARN: aws sqs set-queue-attributes --queue-url {url} --attributes '{rule}'",
        )
    if found.dead.count is None:
        return warning(
            line,
            "how many there are could not be asked: that queue is gone, or these credentials may not",
            f"If it is there, allow them sqs:GetQueueAttributes on {found.dead.url}.",
        )
    if found.dead.count:
        return warning(
            line,
            f"{found.dead.count:,} message{'s' * (found.dead.count > 1)} given out {found.dead.after} times, in vain each time",
            f"{why}: aws sqs receive-message --queue-url {found.dead.url}; back to where they were: aws sqs "
            "start-message-move-task --source-arn THAT-QUEUES-ARN",
        )
    return sound(line, f"none; after {found.dead.after} times in vain a message is put there")
