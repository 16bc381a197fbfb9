"""What the local SES is told at its start, and what a caller is told about a running one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT_ID = "000000000000"  # no AWS account has this number, so no ARN of ours can name a real thing
CONFIGURATION_SET = "newsletter"
TOPIC = QUEUE = "newsletter-events"
WORK_QUEUE = "newsletter-work"


@dataclass(frozen=True, slots=True)
class LocalSesConfig:
    """Everything that can be set.

    `identities` are the verified domains and addresses; mail from any other is refused, as SES does.
    `max_send_rate` counts recipients per second, `daily_quota` recipients in 24 rolling hours (-1: none).
    `template_calls_per_second` is 1 in AWS (Create, Update and TestRender, each) and 0 means no limit.
    `accept_log` gets one JSON line for each accepted recipient, `call_log` one for each call that came in;
    None: not written. `now` is the clock in Unix seconds; tests move it.
    """

    mailbox: Path = Path("var/mailbox")
    state: Path = Path("var/local-ses.sqlite")
    accept_log: Path | None = Path("var/accepts.jsonl")
    call_log: Path | None = None
    faults: Path | None = None
    identities: tuple[str, ...] = ()
    region: str = "eu-west-1"
    max_send_rate: float = 200.0
    daily_quota: float = 50_000.0
    production_access: bool = True
    sending_enabled: bool = True
    template_calls_per_second: float = 0.0
    hosts: tuple[str, ...] = ()  # Host headers answered besides loopback's names and the bound address
    now: Callable[[], float] = field(default=time.time, repr=False)

    @property
    def topic_arn(self) -> str:
        """The SNS topic to which the default configuration set publishes."""
        return f"arn:aws:sns:{self.region}:{ACCOUNT_ID}:{TOPIC}"


@dataclass(frozen=True, slots=True)
class RunningSes:
    """A local SES that answers. `calls(name)` counts the calls of an operation so far, refused ones too; `busy()` those
    it is at work on, whether their clients still wait or not.
    """

    url: str
    queue_url: str
    topic_arn: str
    environment: Mapping[str, str]
    calls: Callable[[str], int] = field(repr=False)
    busy: Callable[[], int] = field(repr=False)


def environment(url: str, queue_url: str, work_queue_url: str, config: LocalSesConfig) -> dict[str, str]:
    """Return the variables that turn boto3 and this project towards a local SES at `url`.

    The names are boto3's own (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html);
    the credentials are words, so that they cannot be taken for real ones.
    """
    return {
        "AWS_ENDPOINT_URL_SESV2": url,
        "AWS_ENDPOINT_URL_SQS": url,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",  # or the two above would be
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "no_proxy": "127.0.0.1,localhost,::1",
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_ACCESS_KEY_ID": "local-ses",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "SES_CONFIGURATION_SET": CONFIGURATION_SET,
        "EVENTS_QUEUE_URL": queue_url,
        "EVENTS_TOPIC_ARN": config.topic_arn,
        "WORK_QUEUE_URL": work_queue_url,
    }
