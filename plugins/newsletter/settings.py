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
from urllib.parse import urlsplit

from newsletter.errors import SettingsError

STATE = Path("var")
KEY_FILE = STATE / "secret.key"
SHORTEST_KEY = 32
_PROJECT = "publication.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs from one installation to the next.

    `store_url` names the database ("sqlite:///var/newsletter.db", or "dynamodb://TABLE"). `configuration_set` is the SES configuration
    set whose events tell what became of a mail, "" for none. `events_queue_url` is the SQS queue they arrive in,
    "" for none, and `events_topic_arn` the SNS topic they must come from; `work_queue_url` is the SQS queue that hands
    batches to workers, "" for none. `region` is AWS's, "" where boto3 finds
    it in its own files. `site_url` is where the links of mails lead in practice, "" for the publication's own; it has
    no slash at its end. `trusted_proxies` is how many proxies stand in front of the door; with `always_work` its forms
    ask every browser for work, and not only while too many knock. `site_bucket` is the S3 bucket that the site is
    published into and `site_distribution` the CloudFront distribution in front of it, "" for none. On AWS,
    `secret_key_arn` names the secret that holds the key, and `origin_key` is what CloudFront knows of the door.
    """

    store_url: str
    secret_key: str = field(default="", repr=False)
    region: str = ""
    configuration_set: str = ""
    events_queue_url: str = ""
    events_topic_arn: str = ""
    work_queue_url: str = ""
    site_url: str = ""
    trusted_proxies: int = 0
    always_work: bool = False
    site_bucket: str = ""
    site_distribution: str = ""
    secret_key_arn: str = ""
    origin_key: str = field(default="", repr=False)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read STORE_URL, SECRET_KEY, SES_CONFIGURATION_SET, EVENTS_QUEUE_URL, EVENTS_TOPIC_ARN, WORK_QUEUE_URL,
        SITE_URL, TRUSTED_PROXIES, PROOF_OF_WORK, SITE_BUCKET, SITE_DISTRIBUTION, SECRET_KEY_ARN, ORIGIN_KEY and the region.

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
            store_url=located(store_url or f"sqlite:///{STATE / 'newsletter.db'}", env),
            secret_key=env.get("SECRET_KEY", ""),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", ""),
            configuration_set=env.get("SES_CONFIGURATION_SET", ""),
            events_queue_url=env.get("EVENTS_QUEUE_URL", ""),
            events_topic_arn=env.get("EVENTS_TOPIC_ARN", ""),
            work_queue_url=env.get("WORK_QUEUE_URL", ""),
            site_url=_site_url(env.get("SITE_URL", "")),
            trusted_proxies=_proxies(env.get("TRUSTED_PROXIES") or "0"),
            always_work=_always(env.get("PROOF_OF_WORK", "")),
            site_bucket=env.get("SITE_BUCKET", ""),
            site_distribution=env.get("SITE_DISTRIBUTION", ""),
            secret_key_arn=env.get("SECRET_KEY_ARN", ""),
            origin_key=env.get("ORIGIN_KEY", ""),
        )

    def secret_keys(self) -> tuple[bytes, ...]:
        """The keys that sign the links in mails, newest first; older ones still verify.

        SECRET_KEY holds one or several with commas between; without it one is made and kept in var/secret.key.
        Raises SettingsError.
        """
        return _keys(self.secret_key) or (_own_key(KEY_FILE),)


def located(store_url: str, environment: Mapping[str, str] | None = None) -> str:
    """A store's URL with the region its table is in, where the environment alone says that: boto3 by itself reads only
    AWS_DEFAULT_REGION.
    """
    env = os.environ if environment is None else environment
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "")
    if not region or not store_url.startswith("dynamodb://") or "region=" in store_url:
        return store_url
    return f"{store_url}{'&' if '?' in store_url else '?'}region={region}"


def is_loopback(url: str) -> bool:
    """Whether an address is this machine's own, which nobody else can reach."""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command run from here: this one, with `changes`.

    The programs beside this Python come first on its PATH, so that `newsletter` in the command is this one
    whether or not its virtual environment is activated.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **changes}


def _site_url(text: str) -> str:
    url = text.rstrip("/")
    try:
        parts = urlsplit(url)
        host, scheme = parts.hostname, parts.scheme
    except ValueError:
        host, scheme = None, ""
    # RFC 8058 wants HTTPS of a link in a mail; on this machine nobody listens in.
    if url and not (host and (scheme == "https" or (scheme == "http" and is_loopback(url)))):
        raise SettingsError(
            f"SITE_URL: {text!r} must begin with https:// and name a host. Only for practice on this machine "
            "http will do: SITE_URL=http://127.0.0.1:8000"
        )
    return url


def _proxies(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 10):
        raise SettingsError(
            f"TRUSTED_PROXIES: {text!r} must be how many proxies of yours each request comes through: 0, 1, 2 …"
        )
    return int(text)


def _always(text: str) -> bool:
    if text not in ("", "auto", "always"):
        raise SettingsError(
            f"PROOF_OF_WORK: {text!r} must be auto (only while too many knock at the door) or always."
        )
    return text == "always"


def _keys(text: str) -> tuple[bytes, ...]:
    keys = tuple(key.strip().encode() for key in text.split(",") if key.strip())
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise SettingsError(
            f"SECRET_KEY: each key must have at least {SHORTEST_KEY} characters. "
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
    if len(key) < SHORTEST_KEY:
        raise SettingsError(f"{path}: is too short to be a key. Restore it from a backup.")
    return key
