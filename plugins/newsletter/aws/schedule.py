"""The postman, once a minute: the letters that were asked for at the door. Most minutes there are none, and that is
one read.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

from newsletter.aws import ground
from newsletter.correspondence import Correspondence
from newsletter.errors import StoreError
from newsletter.postman import Postman
from newsletter.ses.post import Post
from newsletter.store import open_store
from newsletter.tokens import digests

_log = logging.getLogger("newsletter.aws")
_log.setLevel(logging.INFO)
# A letter begun is brought to its end: SES is given a minute to answer, but hardly ever takes a second.
_ENOUGH = 15_000  # milliseconds


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Mail what waits, as long as there is time; how many letters by what became of them. Raises SesError."""
    settings = ground.settings()
    keys = settings.secret_keys()
    store = open_store(settings.store_url)
    postman = Postman(
        store,
        Post(settings.configuration_set, settings.region),
        Correspondence(ground.facts(), keys),
        digests=lambda address_key: digests(address_key, keys),
        clock=lambda: datetime.now(UTC),
        pause=time.sleep,
    )
    done: dict[str, int] = {}
    try:
        with store.posting():
            postman.begin()
            while context.get_remaining_time_in_millis() > _ENOUGH:
                told = postman.round()
                for state, count in told.counts.items():
                    done[str(state)] = done.get(str(state), 0) + count
                if told.stopped:
                    _log.warning("The letters wait: %s", told.stopped)
                if told.stopped or not told.counts:
                    break
    except StoreError as error:
        _log.warning("%s", error)  # another postman is at it; the next minute is another try
    finally:
        store.close()
    if done:
        _log.info("letters: %s", done)
    return done
