"""What the words of a command line may be, and how a mistake in them is answered."""

from __future__ import annotations

import re
from typing import Any

import click

from newsletter.errors import ContentError, NewsletterError
from newsletter.show import say_error

_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])\Z")


class _Month(click.ParamType[str]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a month, or say how one is written."""
        if not isinstance(value, str) or not _MONTH.match(value):
            self.fail(f"{value!r} is no month. Write it as 2020-10.", param, ctx)
        return value


class Group(click.Group):
    """Commands whose errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a person can mend is told without a traceback."""
        try:
            return super().invoke(ctx)
        except ContentError as error:
            for finding in error.findings:
                say_error(str(finding))
            count = len(error.findings)
            say_error(f"{count} thing{'s' if count > 1 else ''} to mend; nothing was changed.")
            ctx.exit(1)
        except NewsletterError as error:
            say_error(str(error))
            ctx.exit(1)
        except OSError as error:  # a full disk, a folder that may not be written
            say_error(
                f"{error.filename or 'The disk'}: {error.strerror}. Is there room, and who may write there?"
            )
            ctx.exit(1)
        except KeyboardInterrupt:
            say_error("Stopped. The same command goes on from here.")
            ctx.exit(1)


MONTH = _Month()
