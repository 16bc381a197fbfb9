"""The local SES refuses what AWS refuses, answers in the shapes of botocore's model and keeps its state."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from newsletter.errors import SettingsError
from newsletter.local_ses.config import LocalSesConfig
from newsletter.local_ses.core import LocalSes
from newsletter.local_ses.server import running
from newsletter.local_ses.shapes import service
from tests.local_ses_world import SENDER, TEMPLATE, World, entry, headers, session, world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all tests that leave nothing behind but mail and templates of their own."""
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000) as one:
        one.template()
        yield one


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = caught.value.response["Error"]["Code"]
    return code


# What refuses a whole SendBulkEmail: change of the call, AWS's error name, a word of its message.
WHOLE_CALL: dict[str, tuple[dict[str, Any], str, str]] = {
    "51 entries": (
        {"BulkEmailEntries": [entry(f"a{n}@x.org") for n in range(51)]},
        "BadRequestException",
        "bulkEmailEntries",
    ),
    "no entry": ({"BulkEmailEntries": []}, "BadRequestException", "bulkEmailEntries"),
    "unverified sender": (
        {"FromEmailAddress": "a@elsewhere.org"},
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
        "a@elsewhere.org",
    ),
    "no sender": ({"FromEmailAddress": ""}, "BadRequestException", "FromEmailAddress"),
    "non-ASCII sender name": (
        {"FromEmailAddress": "Büro <a@example.com>"},
        "BadRequestException",
        "RFC 2047",
    ),
    "bad reply-to": ({"ReplyToAddresses": ["nobody"]}, "BadRequestException", "Missing final '@domain'"),
    "unknown configuration set": (
        {"ConfigurationSetName": "none"},
        "NotFoundException",
        "<none> does not exist",
    ),
    "unknown template": (
        {"DefaultContent": {"Template": {"TemplateName": "none"}}},
        "NotFoundException",
        "Template none does not exist",
    ),
    "no template at all": ({"DefaultContent": {}}, "BadRequestException", "Template"),
    "template name and content": (
        {"DefaultContent": {"Template": {"TemplateName": "t", "TemplateContent": TEMPLATE}}},
        "BadRequestException",
        "one of",
    ),
    "default data that is no JSON": (
        {"DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": "{name:"}}},
        "BadRequestException",
        "template data is invalid",
    ),
    "default data that is a list": (
        {"DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": "[]"}}},
        "BadRequestException",
        "template data is invalid",
    ),
    "default data over the maximum": (
        {
            "DefaultContent": {
                "Template": {"TemplateName": "t", "TemplateData": json.dumps({"a": "x" * 262_144})}
            }
        },
        "BadRequestException",
        "less than or equal to 262144",
    ),
    "tag value with @": (
        {"DefaultEmailTags": [{"Name": "rcpt", "Value": "a@x.org"}]},
        "BadRequestException",
        "Invalid tag value",
    ),
    "tag name of 257": (
        {"DefaultEmailTags": [{"Name": "n" * 257, "Value": "v"}]},
        "BadRequestException",
        "Invalid tag name",
    ),
    "tag of SES's own": (
        {"DefaultEmailTags": [{"Name": "ses:operation", "Value": "v"}]},
        "BadRequestException",
        "reserved",
    ),
    "entry's tag": (
        {"BulkEmailEntries": [entry("a@x.org", tags={"r": "a+b"})]},
        "BadRequestException",
        "Invalid tag value",
    ),
    "tenant": ({"TenantName": "t"}, "NotFoundException", "t does not exist"),
}

# What refuses headers, in the template and in an entry alike.
HEADERS: dict[str, tuple[Any, str]] = {
    "16 headers": (headers(*((f"X-{n}", "v") for n in range(16))), "less than or equal to 15"),
    "name with a colon": (headers(("X:Y", "v")), "regular expression"),
    "name of 127": (headers(("X" * 127, "v")), "less than or equal to 126"),
    "value outside ASCII": (headers(("X-Name", "Zoë")), "regular expression"),
    "value with a line break": (headers(("X-Name", "a\r\nBcc: b@x.org")), "regular expression"),
    "value of 996": (headers(("X", "v" * 996)), "less than or equal to 995"),
    "name and value of 997": (headers(("X-Name", "v" * 991)), "more than 996"),
    **{
        f"header {name}": (headers((name, "v")), "is set by Amazon SES")
        for name in (
            "Bcc",
            "from",
            "MESSAGE-ID",
            "Subject",
            "Reply-To",
            "Content-Type",
            "Date",
            "Return-Path",
        )
    },
}

# What refuses one entry: its destination or data, and a word of its Error.
ONE_ENTRY: dict[str, tuple[dict[str, Any], str]] = {
    "no @": (entry("not-an-address"), "Missing final '@domain'"),
    "no domain": (entry("a@"), "Missing domain"),
    "no local part": (entry("@x.org"), "Missing local name"),
    "non-ASCII local part": (entry("zoë@x.org"), "SMTPUTF8"),
    "domain not in Punycode": (entry("a@zoë.org"), "Punycode"),
    "space": (entry("a b@x.org"), "whitespace"),
    "line break": (entry("a@x.org\r\nBcc: b@x.org"), "control"),
    "two dots": (entry("a..b@x.org"), "dot-dot"),
    "two addresses in one": (entry("a@x.org, b@x.org"), "whitespace"),
    "no recipient": ({"Destination": {}}, "no recipient"),
    "51 recipients": (
        {
            "Destination": {
                "ToAddresses": [f"a{n}@x.org" for n in range(30)],
                "BccAddresses": ["b@x.org"] * 21,
            }
        },
        "exceeds 50",
    ),
    "bad data": (
        entry("a@x.org")
        | {"ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": "nonsense"}}},
        "template data is invalid",
    ),
}


class TestWhatAwsRefuses:
    @pytest.mark.parametrize("name", WHOLE_CALL)
    def test_refuses_the_whole_call_and_accepts_nothing(self, shared: World, name: str) -> None:
        change, code, words = WHOLE_CALL[name]
        before = len(shared.files())
        with pytest.raises(ClientError) as caught:
            shared.bulk("reader@x.org", **change)
        assert code_of(caught) == code
        assert words in str(caught.value)
        assert len(shared.files()) == before

    @pytest.mark.parametrize("place", ["template", "entry"])
    @pytest.mark.parametrize("name", HEADERS)
    def test_refuses_headers(self, shared: World, name: str, place: str) -> None:
        given, words = HEADERS[name]
        in_template = {"Headers": given} if place == "template" else {}
        in_entry = {"ReplacementHeaders": given} if place == "entry" else {}
        with pytest.raises(shared.ses.exceptions.BadRequestException, match=words):
            shared.bulk(
                DefaultContent={"Template": {"TemplateName": "t", **in_template}},
                BulkEmailEntries=[entry("a@x.org", name="x") | in_entry],
            )

    @pytest.mark.parametrize("name", ONE_ENTRY)
    def test_refuses_one_entry_and_accepts_its_neighbours(self, shared: World, name: str) -> None:
        bad, words = ONE_ENTRY[name]
        results = shared.bulk(BulkEmailEntries=[entry("first@x.org"), bad, entry("last@x.org")])
        assert [result["Status"] for result in results] == ["SUCCESS", "INVALID_PARAMETER", "SUCCESS"]
        assert words in results[1]["Error"]
        assert "MessageId" not in results[1]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({}, "exactly one"),
            ({"Simple": {"Subject": {"Data": "s"}, "Body": {}}}, "no content"),
            ({"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": ""}}}}, "no content"),
            (
                {"Simple": {"Subject": {"Data": "a\r\nBcc: b@x.org"}, "Body": {"Text": {"Data": "t"}}}},
                "line break",
            ),
            ({"Raw": {"Data": b""}}, "empty"),
            ({"Template": {"TemplateContent": {"Subject": "s", "Text": "{{#if a}}x{{/if}}"}}}, "unsupported"),
            ({"Template": {"TemplateContent": {"Subject": "s", "Text": "{{no_reply}}"}}}, "unsupported"),
            ({"Template": {"TemplateContent": {"Subject": "s", "Text": "{{a.b}}"}}}, "unsupported"),
        ],
    )
    def test_refuses_content_of_send_email(self, shared: World, content: dict[str, Any], words: str) -> None:
        with pytest.raises(shared.ses.exceptions.BadRequestException, match=words):
            shared.simple("a@x.org", Content=content)

    @pytest.mark.parametrize(
        ("parts", "words"),
        [
            ({"Subject": "s", "Html": "x" * (500 * 1024)}, "larger than"),
            ({"Subject": "s"}, "neither"),
            ({"Html": "x"}, "no subject"),
            ({"Subject": "s", "Html": "{{#each items}}x{{/each}}"}, "each"),
            ({"Subject": "s", "Text": "{{> footer}}"}, "partial"),
        ],
    )
    def test_refuses_templates(self, shared: World, parts: dict[str, str], words: str) -> None:
        with pytest.raises(shared.ses.exceptions.BadRequestException, match=words):
            shared.ses.create_email_template(TemplateName="refused", TemplateContent=parts)

    def test_names_errors_as_the_model_does(self, shared: World) -> None:
        exceptions = shared.ses.exceptions
        with pytest.raises(exceptions.AlreadyExistsException):
            shared.template()
        with pytest.raises(exceptions.NotFoundException):
            shared.ses.get_email_template(TemplateName="none")
        with pytest.raises(exceptions.NotFoundException):
            shared.ses.get_suppressed_destination(EmailAddress="nobody@x.org")
        with pytest.raises(exceptions.BadRequestException, match="enum value set"):
            shared.ses.put_suppressed_destination(EmailAddress="a@x.org", Reason="DISLIKE")

    def test_says_which_operation_it_lacks(self, shared: World) -> None:
        with pytest.raises(
            ClientError, match="ListContactLists is not implemented in the local SES"
        ) as caught:
            shared.ses.list_contact_lists()
        assert code_of(caught) == "UnknownOperationException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


class TestQuotas:
    def test_the_rate_counts_recipients_not_calls(self, tmp_path: Path) -> None:
        """A call goes through while anything is left; then the debt is refused in AWS's words."""
        with world(tmp_path, max_send_rate=1) as own:
            own.template()
            assert len(own.bulk(*(f"a{n}@x.org" for n in range(50)))) == 50
            with pytest.raises(
                own.ses.exceptions.TooManyRequestsException, match=r"Maximum sending rate exceeded\."
            ):
                own.bulk("b@x.org")
            assert len(own.accepts()) == 50

    def test_the_daily_quota_rolls_over_24_hours(self, tmp_path: Path) -> None:
        """Entries past the quota are refused one by one, then whole calls, until a day has passed."""
        clock = [1_600_000_000.0]
        with world(tmp_path, daily_quota=3, now=lambda: clock[0]) as own:
            own.template()
            statuses = [result["Status"] for result in own.bulk(*(f"a{n}@x.org" for n in range(5)))]
            assert statuses == ["SUCCESS"] * 3 + ["ACCOUNT_DAILY_QUOTA_EXCEEDED"] * 2
            assert own.ses.get_account()["SendQuota"]["SentLast24Hours"] == 3
            with pytest.raises(
                own.ses.exceptions.LimitExceededException, match="Daily message quota exceeded"
            ):
                own.bulk("b@x.org")
            clock[0] += 86_399
            with pytest.raises(own.ses.exceptions.LimitExceededException):
                own.bulk("b@x.org")
            clock[0] += 2
            assert own.bulk("b@x.org")[0]["Status"] == "SUCCESS"
            assert own.ses.get_account()["SendQuota"]["SentLast24Hours"] == 1

    def test_the_mailbox_simulator_does_not_count_to_the_daily_quota(self, own: World) -> None:
        own.simple("success@simulator.amazonses.com")
        assert own.ses.get_account()["SendQuota"]["SentLast24Hours"] == 0

    def test_an_account_in_the_sandbox_mails_only_verified_recipients(self, tmp_path: Path) -> None:
        with world(tmp_path, production_access=False) as own:
            own.template()
            results = own.bulk("a@x.org", "b@example.com", "success@simulator.amazonses.com")
            assert [result["Status"] for result in results] == ["MESSAGE_REJECTED", "SUCCESS", "SUCCESS"]
            assert not own.ses.get_account()["ProductionAccessEnabled"]

    def test_a_paused_account_sends_nothing(self, tmp_path: Path) -> None:
        with world(tmp_path, sending_enabled=False) as own:
            with pytest.raises(own.ses.exceptions.SendingPausedException):
                own.simple("a@x.org")
            assert not own.ses.get_account()["SendingEnabled"]

    def test_template_calls_are_limited_only_if_asked(self, tmp_path: Path) -> None:
        with world(tmp_path, template_calls_per_second=1) as own:
            own.template("one")
            with pytest.raises(own.ses.exceptions.TooManyRequestsException):
                own.template("two")


def _calls(own: World) -> dict[str, Any]:
    """A call of every operation that succeeds, in an order in which they can be made."""
    definition = {
        "Enabled": True,
        "MatchingEventTypes": ["SEND", "BOUNCE"],
        "SnsDestination": {"TopicArn": "arn:aws:sns:eu-west-1:000000000000:other"},
    }
    one_set = {"ConfigurationSetName": "other"}
    destination = {**one_set, "EventDestinationName": "sns"}
    address = {"EmailAddress": "Gone@x.org"}
    return {
        "CreateEmailTemplate": {"TemplateName": "t", "TemplateContent": TEMPLATE},
        "GetEmailTemplate": {"TemplateName": "t"},
        "UpdateEmailTemplate": {
            "TemplateName": "t",
            "TemplateContent": {"Subject": "S", "Text": "T {{name}}"},
        },
        "ListEmailTemplates": {},
        "TestRenderEmailTemplate": {"TemplateName": "t", "TemplateData": '{"name": "x"}'},
        "SendEmail": {
            "FromEmailAddress": SENDER,
            "Destination": {"ToAddresses": ["a@x.org"]},
            "Content": {"Template": {"TemplateName": "t", "TemplateData": '{"name": "x"}'}},
        },
        "SendBulkEmail": {
            "FromEmailAddress": SENDER,
            "DefaultContent": {"Template": {"TemplateName": "t"}},
            "BulkEmailEntries": [entry("a@x.org", name="x")],
        },
        "DeleteEmailTemplate": {"TemplateName": "t"},
        "GetAccount": {},
        "PutSuppressedDestination": {**address, "Reason": "BOUNCE"},
        "GetSuppressedDestination": {"EmailAddress": "gone@X.org"},
        "ListSuppressedDestinations": {"Reasons": ["BOUNCE"]},
        "DeleteSuppressedDestination": address,
        "CreateConfigurationSet": one_set,
        "GetConfigurationSet": one_set,
        "ListConfigurationSets": {},
        "CreateConfigurationSetEventDestination": {**destination, "EventDestination": definition},
        "GetConfigurationSetEventDestinations": one_set,
        "UpdateConfigurationSetEventDestination": {**destination, "EventDestination": definition},
        "DeleteConfigurationSetEventDestination": destination,
        "DeleteConfigurationSet": one_set,
        "CreateEmailIdentity": {"EmailIdentity": "new.example.org"},
        "GetEmailIdentity": {"EmailIdentity": "new.example.org"},
        "ListEmailIdentities": {},
    }


def test_every_operation_answers_in_the_shape_of_botocores_model(own: World, tmp_path: Path) -> None:
    """Each implemented operation is in the model, its answer parses, and required members are there."""
    calls = _calls(own)
    (tmp_path / "second").mkdir()
    core = LocalSes(LocalSesConfig(state=tmp_path / "second" / "state.sqlite"))
    try:
        assert core.operations == set(calls)
    finally:
        core.close()
    model = service("sesv2")
    for operation, params in calls.items():
        method = next(name for name, made in own.ses.meta.method_to_api_mapping.items() if made == operation)
        answer = getattr(own.ses, method)(**params)
        shape = model.operation_model(operation).output_shape
        _conforms(
            shape, {key: value for key, value in answer.items() if key != "ResponseMetadata"}, operation
        )


def _conforms(shape: Any, value: Any, place: str) -> None:
    if shape.type_name == "structure":
        assert set(shape.required_members) <= set(value), place
        assert set(value) <= set(shape.members), place
        for name, one in value.items():
            _conforms(shape.members[name], one, f"{place}.{name}")
    elif shape.type_name == "list":
        for one in value:
            _conforms(shape.member, one, place)
    elif shape.type_name == "string" and shape.metadata.get("enum"):
        assert value in shape.metadata["enum"], place


class TestState:
    def test_everything_survives_a_restart(self, tmp_path: Path) -> None:
        with world(tmp_path) as first:
            first.template()
            first.ses.put_suppressed_destination(EmailAddress="Gone@x.org", Reason="COMPLAINT")
            first.ses.create_configuration_set(ConfigurationSetName="other")
            first.ses.create_email_identity(EmailIdentity="new.example.org")
            first.bulk("a@x.org")
        with world(tmp_path) as second:
            assert second.ses.get_email_template(TemplateName="t")["TemplateContent"] == TEMPLATE
            found = second.ses.get_suppressed_destination(EmailAddress="gone@x.org")["SuppressedDestination"]
            assert (found["EmailAddress"], found["Reason"]) == ("Gone@x.org", "COMPLAINT")
            assert second.ses.list_configuration_sets()["ConfigurationSets"] == ["newsletter", "other"]
            assert not second.ses.get_email_identity(EmailIdentity="new.example.org")[
                "VerifiedForSendingStatus"
            ]
            assert second.ses.get_email_identity(EmailIdentity="example.com")["VerifiedForSendingStatus"]
            assert second.ses.get_account()["SendQuota"]["SentLast24Hours"] == 1
            assert [event["eventType"] for event in second.events()] == ["Send", "Delivery"]

    def test_lists_come_in_pages(self, own: World) -> None:
        for number in range(5):
            own.ses.put_suppressed_destination(EmailAddress=f"a{number}@x.org", Reason="BOUNCE")
        found, token = [], {}
        while True:
            answer = own.ses.list_suppressed_destinations(PageSize=2, **token)
            found += [one["EmailAddress"] for one in answer["SuppressedDestinationSummaries"]]
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert found == [f"a{number}@x.org" for number in range(5)]


class TestServer:
    def test_a_client_that_is_killed_in_the_middle_of_a_request_leaves_no_traceback(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        head = b"POST /v2/email/outbound-emails HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"
        with world(tmp_path) as own:
            address = urlsplit(own.server.url)
            deadline = time.monotonic() + 60
            with socket.create_connection((address.hostname or "", address.port or 0)) as line:
                line.sendall(head)
                while not own.server.busy():
                    assert time.monotonic() < deadline
            while own.server.busy():
                assert time.monotonic() < deadline
            assert own.ses.get_account()["SendingEnabled"]
        assert "Traceback" not in capfd.readouterr().err

    def test_stops_even_with_a_long_poll_and_a_hanging_call(self, tmp_path: Path) -> None:
        with world(tmp_path) as own:
            own.plan(calls=[{"action": "hang"}])
            address = urlsplit(own.server.url)
            hanging = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
            polling = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
            hanging.request("POST", "/v2/email/outbound-emails", "{}", {"Authorization": "x"})
            polling.request(
                "POST",
                "/",
                json.dumps({"QueueUrl": own.server.queue_url, "WaitTimeSeconds": 20}),
                {"Authorization": "x", "X-Amz-Target": "AmazonSQS.ReceiveMessage"},
            )
            deadline = time.monotonic() + 5
            while not (own.server.calls("SendEmail") and own.server.calls("ReceiveMessage")):
                assert time.monotonic() < deadline
            begun = time.monotonic()
        # The hanging call has no end, and the poll has twenty seconds.
        assert time.monotonic() - begun < 15
        hanging.close()
        polling.close()

    def test_refuses_an_unsigned_request(self, shared: World) -> None:
        assert _ask(shared, "GET", "/v2/email/account", {})[0] == 403
        status, body = _ask(shared, "POST", "/", {"X-Amz-Target": "AmazonSQS.ListQueues"})
        assert (status, json.loads(body)["message"]) == (403, "Missing Authentication Token")

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""]
    )
    @pytest.mark.parametrize("path", ["/mailbox/", "/v2/email/account", "/"])
    def test_answers_only_to_its_own_name(self, shared: World, host: str, path: str) -> None:
        """A web page that rebinds its DNS name to 127.0.0.1 sends its own name as Host."""
        assert _ask(shared, "GET", path, {"Host": host, "Authorization": "x"})[0] == 403

    def test_says_that_an_address_is_taken(self, shared: World, tmp_path: Path) -> None:
        port = urlsplit(shared.server.url).port or 0
        with (
            pytest.raises(SettingsError, match="cannot be served"),
            running(LocalSesConfig(state=tmp_path / "s.sqlite"), port=port),
        ):
            pass

    def test_turns_boto3_by_environment_alone(self, shared: World) -> None:
        code = (
            "import boto3, os; q = boto3.client('sqs'); "
            "q.get_queue_attributes(QueueUrl=os.environ['EVENTS_QUEUE_URL'], AttributeNames=['All']); "
            "print(boto3.client('sesv2').get_account()['SendQuota']['MaxSendRate'])"
        )
        environment = {"PATH": "", **shared.server.environment}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        assert done.stdout == b"10000.0\n"

    def test_importing_the_package_loads_no_web_server(self) -> None:
        code = (
            "import sys, newsletter.local_ses.server; "
            "print(sorted({'uvicorn', 'starlette', 'boto3', 'botocore', 'jinja2'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout == b"[]\n"

    def test_two_calls_at_once_write_each_mail_once(self, own: World) -> None:
        from concurrent.futures import ThreadPoolExecutor

        own.template()
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda n: own.bulk(*(f"a{n}-{m}@x.org" for m in range(10))), range(12)))
        ids = {result["MessageId"] for results in done for result in results}
        assert len(ids) == len(own.files()) == len(own.accepts()) == 120
        assert {path.name.partition("-")[2].removesuffix(".eml") for path in own.files()} == ids
        assert {line["message_id"] for line in own.accepts()} == ids
        assert not list(own.config.mailbox.glob(".*"))


def _ask(one: World, method: str, path: str, sent: dict[str, str]) -> tuple[int, bytes]:
    address = urlsplit(one.server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_session_of_these_tests_cannot_reach_aws() -> None:
    """The credentials are words, not a key of any account."""
    credentials = session().get_credentials()
    assert credentials is not None
    assert credentials.access_key == "local-ses"
