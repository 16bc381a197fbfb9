"""An older copy of the database is put back: nobody who left since is mailed, and one command lets them leave again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.server import running
from newsletter.store import open_store
from tests.conftest import NOON, Project
from tests.store_contract import PACKAGE


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


def test_an_old_list_brings_nobody_back_after_an_older_database_was_put_back(
    make_project: Callable[..., Project],
) -> None:
    """Also not those who came after the backup was made: the journal knows their digests."""
    project = make_project("pelicanconf.py", "publication.toml", "theme", "plugins", "content")
    names = ("stays", "left", "erased", "blocked")
    known = "".join(f"{name}@example.com,confirmed\n" for name in names)
    later = "lateerased@example.com,confirmed\nlateblocked@example.com,confirmed\nlatestays@example.com,confirmed\n"
    project.write("list.csv", f"email,status\n{known}")
    project.write("newer.csv", f"email,status\n{known}{later}")
    database = project.path / "var/newsletter.db"

    def done(*words: str) -> str:
        result = project.newsletter("subscribers", *words)
        assert result.returncode == 0, result.stderr
        return result.stdout

    done("import", "list.csv")
    shutil.copy(database, project.path / "backup.db")
    done("import", "newer.csv")
    store = open_store(f"sqlite:///{database}")
    assert store.unsubscribe(store.known(["left@example.com"])["left@example.com"].public_id, NOON)
    store.close()
    for name in ("erased", "lateerased"):
        done("erase", f"{name}@example.com", "--yes")
    for name in ("blocked", "lateblocked"):
        done("suppress", f"{name}@example.com", "--reason", "asked by telephone")
    examined = project.newsletter("doctor").stdout
    assert "nobody who left is back" in examined, examined
    shutil.copy(project.path / "backup.db", database)
    assert (
        "5 who unsubscribed, were erased or suppressed are forgotten" in project.newsletter("doctor").stdout
    )
    assert "5 have left again" in done("replay")
    assert "nobody who left is back" in project.newsletter("doctor").stdout
    refused = project.newsletter("subscribers", "import", "newer.csv")
    assert refused.returncode == 1  # for the lines of the erased
    store = open_store(f"sqlite:///{database}")
    package = replace(PACKAGE, month="2020-10")
    store.freeze(package, NOON)
    mailed = {trace.address for trace in store.trace("2020-10") if trace.state == "pending"}
    store.close()
    assert mailed == {"stays@example.com", "latestays@example.com"}
