"""What an operator types about a subscriber, and how a mistake in it is answered; moments as they are read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from newsletter.address import Address, parse
from newsletter.errors import AddressError
from newsletter.settings import Settings
from newsletter.tokens import digests

_LONGEST = 300


class _Address(click.ParamType[Address]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Take an address, or say what is wrong with it."""
        if isinstance(value, Address):
            return value
        try:
            return parse(value)
        except AddressError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class _Words(click.ParamType[str]):
    name = "words"

    def __init__(self, addressless: bool = False) -> None:
        self._addressless = addressless

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a few words on one line."""
        words = str(value).strip()
        if (param and param.required and not words) or not words.isprintable() or len(words) > _LONGEST:
            self.fail(f"Write one line of at most {_LONGEST} characters.", param, ctx)
        if self._addressless and "@" in words:
            self.fail("Leave addresses out: these words are kept where nobody can be erased.", param, ctx)
        return words


ADDRESS = _Address()
WORDS = _Words()
JOURNAL_WORDS = _Words(addressless=True)
"""Words for the journal, which outlives the database and holds no address."""


def digests_of(settings: Settings) -> Callable[[str], tuple[bytes, ...]]:
    """What recognises an erased address, by its key. Raises SettingsError."""
    return partial(digests, keys=settings.secret_keys())


def when(moment: str) -> str:
    """A moment of the store as it is read; a day stays a day."""
    day, _, time = moment.partition("T")
    return f"{day} {time[:5]} UTC" if time else day
