"""What the words of a command line may be, and how a mistake in them is answered."""

from __future__ import annotations

from importlib import import_module
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
    """Commands that are listed by what they are for, each with the whole of its first sentence.

    Each is imported when it is asked for: whoever calls one does not wait for what the others need.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._sections: dict[str, dict[str, str]] = {}

    def add_section(self, heading: str, places: dict[str, str]) -> None:
        """Add commands by name, each with its module and function below newsletter.cli, and list them below a heading."""
        self._sections[heading] = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of --help."""
        return [name for places in self._sections.values() for name in places]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None if there is none."""
        place = next((places[cmd_name] for places in self._sections.values() if cmd_name in places), "")
        if not place:
            return None
        module, _, function = place.rpartition(".")
        command: click.Command = getattr(import_module(f"newsletter.cli.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for --help: a sentence that breaks off tells nobody what to choose."""
        for heading, places in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, self._sentence(ctx, name)) for name in places])

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
