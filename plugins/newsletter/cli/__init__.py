"""The command `newsletter`. Each command is read, done and told in a few lines; the work is in the modules.

Exit status: 0 done, 1 something is wrong and the message says what to mend, 2 the command was mistyped.
Modules are imported by the commands that need them: `newsletter send` runs without Pelican installed.
"""

from __future__ import annotations

import click

from newsletter.cli import (
    answers,
    check,
    doctor,
    erratum,
    events,
    importing,
    latecomers,
    local,
    migrating,
    new,
    post,
    preview,
    proof,
    publish,
    publishing,
    sending,
    status,
    web,
    worker,
)
from newsletter.cli.subscribers import subscribers
from newsletter.cli.words import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="monthly-briefing")
def main() -> None:
    """From Markdown to the inbox: build the site, package a month's briefing, mail it through Amazon SES."""


main.add_section("Writing", new.new, importing.import_, check.check, preview.preview, proof.proof)
main.add_section("Publishing", publish.build, publish.briefing, publishing.publish)
main.add_section(
    "Mailing",
    doctor.doctor,
    status.show,
    sending.send,
    worker.worker,
    latecomers.latecomers,
    erratum.erratum,
    erratum.withdraw,
)
main.add_section(
    "What became of it", status.status, events.events, answers.audit, answers.resolve, status.discard
)
main.add_section("Subscribers", subscribers, web.web, post.post, migrating.migrate)
main.add_section("Trying it on this machine", local.serve, local.local_ses)
