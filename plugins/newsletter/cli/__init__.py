"""The command `newsletter`. Each command is read, done and told in a few lines; the work is in the modules.

Exit status: 0 done, 1 something is wrong and the message says what to mend, 2 the command was mistyped.
Modules are imported by the commands that need them: `newsletter send` runs without Pelican installed.
"""

from __future__ import annotations

import click

from newsletter.cli.words import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="monthly-briefing")
def main() -> None:
    """From Markdown to the inbox: build the site, package a month's briefing, mail it through Amazon SES."""


main.add_section(
    "Writing",
    {
        "new": "new.new",
        "import": "importing.import_",
        "check": "check.check",
        "preview": "preview.preview",
        "proof": "proof.proof",
    },
)
main.add_section(
    "Publishing",
    {"build": "publish.build", "briefing": "publish.briefing", "publish": "publishing.publish"},
)
main.add_section(
    "Mailing",
    {
        "doctor": "doctor.doctor",
        "show": "status.show",
        "send": "sending.send",
        "worker": "worker.worker",
        "latecomers": "latecomers.latecomers",
        "erratum": "erratum.erratum",
        "withdraw": "erratum.withdraw",
    },
)
main.add_section(
    "What became of it",
    {
        "status": "status.status",
        "events": "events.events",
        "audit": "answers.audit",
        "resolve": "answers.resolve",
        "discard": "status.discard",
    },
)
main.add_section(
    "Subscribers",
    {
        "subscribers": "subscribers.subscribers",
        "web": "web.web",
        "post": "post.post",
        "migrate": "migrating.migrate",
    },
)
main.add_section("Trying it on this machine", {"serve": "local.serve", "local-ses": "local.local_ses"})
