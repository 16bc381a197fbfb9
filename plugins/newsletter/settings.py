"""The environment: the only reader of os.environ.

What belongs to AWS (region, credentials, AWS_ENDPOINT_URL_SESV2, AWS_ENDPOINT_URL_SQS) is not here: boto3 reads
that itself. What belongs to the publication is in publication.toml.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.errors import SettingsError

STATE = Path("var")
_KEY_FILE = STATE / "secret.key"
_SHORTEST_KEY = 32
_PROJECT = "publication.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs from one installation to the next.

    `store_url` names the database ("sqlite:///var/newsletter.db"). `configuration_set` is the SES configuration
    set whose events tell what became of a mail, "" for none. `events_queue_url` is the SQS queue they arrive in,
    "" for none, and `events_topic_arn` the SNS topic they must come from. `region` is AWS's, "" where boto3 finds
    it in its own files.
    """

    store_url: str
    secret_key: str = field(default="", repr=False)
    region: str = ""
    configuration_set: str = ""
    events_queue_url: str = ""
    events_topic_arn: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read STORE_URL, SECRET_KEY, SES_CONFIGURATION_SET, EVENTS_QUEUE_URL, EVENTS_TOPIC_ARN and the region.

        AWS's other tools read AWS_REGION, boto3 by itself only AWS_DEFAULT_REGION; here either will do.
        Raises SettingsError where neither a store is named nor this is the project's folder.
        """
        env = os.environ if environment is None else environment
        store_url = env.get("STORE_URL", "")
        if not store_url and not Path(_PROJECT).is_file():
            raise SettingsError(
                f"{_PROJECT}: not found, so this is not the project's folder. Go there, or name the store: "
                "STORE_URL=sqlite:////path/to/newsletter.db"
            )
        _keys(env.get("SECRET_KEY", ""))  # a bad one is told at once, not when it is needed
        return cls(
            store_url=store_url or f"sqlite:///{STATE / 'newsletter.db'}",
            secret_key=env.get("SECRET_KEY", ""),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", ""),
            configuration_set=env.get("SES_CONFIGURATION_SET", ""),
            events_queue_url=env.get("EVENTS_QUEUE_URL", ""),
            events_topic_arn=env.get("EVENTS_TOPIC_ARN", ""),
        )

    def secret_keys(self) -> tuple[bytes, ...]:
        """The keys that sign the links in mails, newest first; older ones still verify.

        SECRET_KEY holds one or several with commas between; without it one is made and kept in var/secret.key.
        Raises SettingsError.
        """
        return _keys(self.secret_key) or (_own_key(_KEY_FILE),)


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command run from here: this one, with `changes`.

    The programs beside this Python come first on its PATH, so that `newsletter` in the command is this one
    whether or not its virtual environment is activated.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **changes}


def _keys(text: str) -> tuple[bytes, ...]:
    keys = tuple(key.strip().encode() for key in text.split(",") if key.strip())
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise SettingsError(
            f"SECRET_KEY: each key must have at least {_SHORTEST_KEY} characters. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return keys


def _own_key(path: Path) -> bytes:
    """The key of this installation, made on first use. Links in mails already out are void without it.

    It appears whole or not at all: of two commands that begin at once one makes it, and both use it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_urlsafe(32).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            os.unlink(draft)
    key = path.read_bytes().strip()
    if len(key) < _SHORTEST_KEY:
        raise SettingsError(f"{path}: is too short to be a key. Restore it from a backup.")
    return key
