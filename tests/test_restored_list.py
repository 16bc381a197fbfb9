"""An older copy of the database is put back: nobody who left since is mailed, and one command lets them leave again."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.store import open_store
from tests.conftest import NOON, Project


def test_nothing_is_mailed_until_those_who_left_have_left_again(make_project: Callable[..., Project]) -> None:
    project = make_project("pelicanconf.py", "publication.toml", "theme", "plugins", "content")
    project.write("list.csv", "email,status\nstays@example.com,confirmed\nleaves@example.com,confirmed\n")
    url = f"sqlite:///{project.path}/var/newsletter.db"
    assert project.newsletter("build").returncode == 0
    assert project.newsletter("subscribers", "import", "list.csv").returncode == 0
    database = project.path / "var/newsletter.db"
    shutil.copy(database, project.path / "backup.db")
    store = open_store(url)
    public_id = store.db.execute("SELECT public_id FROM subscriber WHERE address LIKE 'leaves%'").fetchone()[
        0
    ]  # type: ignore[attr-defined]
    assert store.unsubscribe(public_id, NOON)
    store.close()
    shutil.copy(project.path / "backup.db", database)
    config = LocalSesConfig(
        project.path / "mailbox",
        project.path / "ses.sqlite",
        project.path / "accepts.jsonl",
        identities=("example.org",),
    )
    with running(config) as ses:
        command = ("send", "2020-10", "--approve", project.hash("2020-10"))
        refused = project.newsletter(*command, **ses.environment)
        assert refused.returncode == 1
        assert "newsletter subscribers replay" in refused.stdout + refused.stderr
        assert ses.calls("SendBulkEmail") == 0
        assert "1 have left again" in project.newsletter("subscribers", "replay").stdout
        done = project.newsletter(*command, **ses.environment)
        assert done.returncode == 0, done.stderr
    assert "leaves@example.com" not in (project.path / "accepts.jsonl").read_text()
    assert "stays@example.com" in (project.path / "accepts.jsonl").read_text()
