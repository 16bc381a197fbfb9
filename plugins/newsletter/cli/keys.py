"""The keys that sign links: made on first use, and never a second time where mails are out already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newsletter.errors import SettingsError
from newsletter.settings import Settings

if TYPE_CHECKING:
    from newsletter.store import Store


def keys_of(settings: Settings, store: Store) -> tuple[bytes, ...]:
    """The keys, newest first. Raises SettingsError where there were some once: a new one would void every link in the
    mails that are out, without a word.
    """
    from newsletter.doctor import key
    from newsletter.finding import Verdict

    facts = key.look(settings)
    finding = key.judge(facts, begun=bool(store.sends()))
    if finding.verdict is Verdict.BROKEN and not facts.length:
        raise SettingsError(f"{finding.words}. {finding.mend} Nobody was mailed.")
    return settings.secret_keys()
