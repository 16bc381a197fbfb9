"""What the words of a command line may be, and how a mistake in them is answered."""

from __future__ import annotations

from typing import Any

import click

from newsletter import issue
from newsletter.errors import ContentError, NewsletterError
from newsletter.show import say_error


class _Month(click.ParamType[str]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a month, or say how one is written."""
        mailing = issue.of_id(value) if isinstance(value, str) else None
        if mailing is None:
            self.fail(f"{value!r} is no month. Write it as 2020-10.", param, ctx)
        if mailing.corrects:
            self.fail(
                f"{value} is an erratum and not a month. To mail it: newsletter erratum {mailing.month}",
                param,
                ctx,
            )
        return mailing.id


class _Mailing(click.ParamType[str]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a month or the name of an erratum, or say how they are written."""
        if not isinstance(value, str) or issue.of_id(value) is None:
            self.fail(
                f"{value!r} is no month. Write it as 2020-10, an erratum as 2020-10-erratum.", param, ctx
            )
        return value


class Commands(click.Group):
    """Commands that are listed by what they are for, each with the whole of its first sentence."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._sections: dict[str, list[str]] = {}

    def add_section(self, heading: str, *commands: click.Command) -> None:
        """Add commands, and list them below a heading."""
        for command in commands:
            self.add_command(command)
            self._sections.setdefault(heading, []).append(command.name or "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for --help: a sentence that breaks off tells nobody what to choose."""
        for heading, names in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self._sentence(ctx, name)) for name in names])

    def _sentence(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=1000) if command else ""


class Group(Commands):
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
"""A month: a briefing and nothing else."""
MAILING = _Mailing()
"""A briefing by its month, or an erratum by its own name (2020-10-erratum, 2020-10-erratum-2)."""
