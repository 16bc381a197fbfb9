"""infra/template.yaml: sound by AWS's own schemas, least in what it allows, and made as it says where it can be made.

ministack makes most of it and is asked for each resource through the service's own API. What it refuses to make is
listed with its words, and what it makes otherwise than told is asserted as it is: when ministack learns it, the test
says so.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import decode
from playwright.sync_api import Browser

from newsletter.door.app import is_door
from newsletter.door.guard import POLICY
from newsletter.store.dynamodb.journal import SUFFIX
from tests.conftest import ROOT
from tests.ministack_world import ACCOUNT, REGION, Ministack

PATH = ROOT / "infra/template.yaml"
HOST = "briefing.example.org"
VALUES = {
    "SiteDomain": HOST,
    "MailDomain": "example.org",
    "CertificateArn": f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/0",
    "CodeBucket": "briefing-code",
    "CodeKey": "lambda.zip",
    "OperatorEmail": "operator@example.org",
}
# What ministack does not know, and says so.
UNKNOWN = {
    "AWS::Budgets::Budget",
    "AWS::CloudFront::Function",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::OriginRequestPolicy",
    "AWS::CloudFront::ResponseHeadersPolicy",
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    decoded, problems = decode(str(PATH))
    assert not problems
    return dict(json.loads(json.dumps(decoded)))


def properties(template: Mapping[str, Any], name: str) -> Any:
    return template["Resources"][name]["Properties"]


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def test_the_template_is_sound_by_awss_own_schemas() -> None:
    linted = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), str(PATH)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_parameters_are_few_and_each_is_explained(template: dict[str, Any]) -> None:
    assert len(template["Parameters"]) <= 8
    assert all(len(one["Description"]) > 30 for one in template["Parameters"].values())
    # Only what nobody can guess must be given.
    assert {name for name, one in template["Parameters"].items() if "Default" not in one} == set(VALUES)


# -- what each part may do


def statements(template: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The statements of a role's or a managed policy, with lists in place of single words."""
    facts = properties(template, name)
    documents = [one["PolicyDocument"] for one in facts.get("Policies", [])] + (
        [facts["PolicyDocument"]] if "PolicyDocument" in facts else []
    )
    return [
        {key: value if isinstance(value, list) else [value] for key, value in one.items()}
        for document in documents
        for one in document["Statement"]
    ]


def actions(template: Mapping[str, Any], name: str) -> set[str]:
    return {action for one in statements(template, name) for action in one["Action"]}


def test_the_door_cannot_mail_at_all_and_only_the_workers_can_mail_in_bulk(template: dict[str, Any]) -> None:
    roles = [*of_type(template, "AWS::IAM::Role")]
    assert "DoorRole" in roles
    assert not [action for action in actions(template, "DoorRole") if action.startswith("ses:")]
    assert not [action for action in actions(template, "EventsRole") if action.startswith("ses:")]
    bulk = [name for name in roles if "ses:SendBulkEmail" in actions(template, name)]
    assert bulk == ["WorkerRole"]
    assert {name for name in roles if "ses:SendEmail" in actions(template, name)} == {"ScheduleRole"}


def test_nobody_may_more_than_is_named(template: dict[str, Any]) -> None:
    policies = [*of_type(template, "AWS::IAM::Role"), *of_type(template, "AWS::IAM::ManagedPolicy")]
    assert len(policies) >= 7
    for name in policies:
        for one in statements(template, name):
            assert one["Effect"] == ["Allow"]
            assert not [action for action in one["Action"] if "*" in action], name
            # SES has no resource for an account's quota (service authorization reference).
            assert "*" not in one["Resource"] or one["Action"] == ["ses:GetAccount"], name
        assert not actions(template, name) & {"dynamodb:Scan", "dynamodb:DeleteTable", "dynamodb:UpdateTable"}


def test_whoever_may_write_the_store_may_write_its_journal(template: dict[str, Any]) -> None:
    for name in [*of_type(template, "AWS::IAM::Role"), *of_type(template, "AWS::IAM::ManagedPolicy")]:
        tables = {
            table: {
                action
                for one in statements(template, name)
                if {"Fn::GetAtt": [table, "Arn"]} in one["Resource"]
                for action in one["Action"]
            }
            for table in ("Store", "Journal")
        }
        if "dynamodb:PutItem" in tables["Store"]:
            assert "dynamodb:BatchWriteItem" in tables["Journal"]
    for table in of_type(template, "AWS::DynamoDB::Table").values():
        assert table["DeletionPolicy"] == "Retain"
        assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_the_operator_may_look_at_each_queue_that_the_doctor_looks_at(template: dict[str, Any]) -> None:
    seen = [
        resource
        for one in statements(template, "OperatorPolicy")
        if "sqs:GetQueueAttributes" in one["Action"]
        for resource in one["Resource"]
    ]
    for queue in ("SendQueue", "SendDeadLetters", "EventsQueue", "EventsDeadLetters"):
        assert {"Fn::GetAtt": [queue, "Arn"]} in seen


def test_each_function_has_a_role_a_log_and_an_alarm_of_its_own(template: dict[str, Any]) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    assert set(functions) == {"Door", "Worker", "Events", "Schedule"}
    watched = {
        one["Properties"]["Dimensions"][0]["Value"]["Ref"]
        for one in of_type(template, "AWS::CloudWatch::Alarm").values()
        if one["Properties"]["MetricName"] == "Errors"
    }
    assert watched == set(functions)
    for name in functions:
        assert properties(template, name)["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        assert properties(template, name)["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Log"}}


def test_the_operator_is_told_what_each_alarm_means(template: dict[str, Any]) -> None:
    meaning = (ROOT / "docs/operators.md").read_text().partition("## What an alarm means")[2]
    for name, one in of_type(template, "AWS::CloudWatch::Alarm").items():
        assert name in meaning, name
        assert len(one["Properties"]["AlarmDescription"]) > 40
        assert one["Properties"]["AlarmActions"] == [{"Ref": "Alerts"}]


# -- the queues


@pytest.mark.parametrize(("queue", "function"), [("SendQueue", "Worker"), ("EventsQueue", "Events")])
def test_a_message_is_hidden_for_six_timeouts_and_then_set_aside(
    template: dict[str, Any], queue: str, function: str
) -> None:
    facts = properties(template, queue)
    assert facts["VisibilityTimeout"] >= 6 * properties(template, function)["Timeout"]
    [dead] = facts["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][:1]
    watched = [
        one["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for one in of_type(template, "AWS::CloudWatch::Alarm").values()
        if one["Properties"]["MetricName"] == "ApproximateNumberOfMessagesVisible"
    ]
    assert dead in watched
    [source] = [
        one["Properties"]
        for one in of_type(template, "AWS::Lambda::EventSourceMapping").values()
        if one["Properties"]["FunctionName"] == {"Ref": function}
    ]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_only_the_topic_may_write_into_the_queue_of_events_and_only_ses_into_the_topic(
    template: dict[str, Any],
) -> None:
    allowed = [
        one
        for one in properties(template, "EventsQueuePolicy")["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    ]
    assert [one["Principal"] for one in allowed] == [{"Service": "sns.amazonaws.com"}]
    assert allowed[0]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "EventsTopic"}}}
    [publish] = properties(template, "EventsTopicPolicy")["PolicyDocument"]["Statement"]
    assert publish["Principal"] == {"Service": "ses.amazonaws.com"}
    assert set(publish["Condition"]) == {"StringEquals", "ArnEquals"}


def test_ses_tells_everything_but_opens_and_clicks(template: dict[str, Any]) -> None:
    told = set(properties(template, "ConfigurationSetEvents")["EventDestination"]["MatchingEventTypes"])
    assert told == {"send", "reject", "bounce", "complaint", "delivery", "renderingFailure", "deliveryDelay"}
    dashboard = properties(template, "ConfigurationSet")["VdmOptions"]["DashboardOptions"]
    assert dashboard == {"EngagementMetrics": "DISABLED"}


# -- the site


def test_the_sites_policy_is_the_one_that_its_pages_are_made_for(template: dict[str, Any]) -> None:
    for name, expected in (
        ("SiteHeaders", POLICY),
        ("SearchHeaders", POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")),
    ):
        security = properties(template, name)["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
        assert security["ContentSecurityPolicy"]["ContentSecurityPolicy"] == expected
        assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] == 63072000


def test_what_belongs_to_the_door_goes_to_the_door(template: dict[str, Any]) -> None:
    config = properties(template, "SiteDistribution")["DistributionConfig"]
    to_the_door = [one["PathPattern"] for one in config["CacheBehaviors"] if one["TargetOriginId"] == "door"]
    assert all(is_door(path) for path in to_the_door)
    for path in (
        "/subscribe",
        "/confirm/t",
        "/u/t",
        "/me",
        "/me/t",
        "/me/t/data.json",
        "/change/t",
        "/contact",
    ):
        assert any(path == one or (one.endswith("*") and path.startswith(one[:-1])) for one in to_the_door), (
            path
        )
    assert not [one for one in to_the_door if one in ("/*", "*")]
    assert config["DefaultCacheBehavior"]["AllowedMethods"] == ["GET", "HEAD"]


@pytest.mark.parametrize(
    ("asked", "kept", "leads_to"),
    [
        ("/", "/index.html", ""),
        ("/analyses/2020/a-piece/", "/analyses/2020/a-piece/index.html", ""),
        ("/feed.xml", "/feed.xml", ""),
        ("/.well-known/security.txt", "/.well-known/security.txt", ""),
        ("/about", "", f"https://{HOST}/about/"),
        ("//elsewhere.example", "//elsewhere.example", ""),
        ("//elsewhere", "", f"https://{HOST}//elsewhere/"),
    ],
)
def test_clean_addresses(
    template: dict[str, Any], browser: Browser, asked: str, kept: str, leads_to: str
) -> None:
    """The function itself, run by a real engine of JavaScript."""
    code = properties(template, "CleanAddresses")["FunctionCode"]["Fn::Sub"].replace("${SiteDomain}", HOST)
    page = browser.new_page()
    answer = page.evaluate(f"event => {{ {code}\nreturn handler(event); }}", {"request": {"uri": asked}})
    page.close()
    if leads_to:
        assert (answer["statusCode"], answer["headers"]["location"]["value"]) == (301, leads_to)
    else:
        assert answer["uri"] == kept


# -- made, in ministack


def _create(ministack: Ministack, name: str, template: Mapping[str, Any]) -> tuple[str, str]:
    """Make a stack; its status, and why a resource could not be made."""
    made = ministack.client("cloudformation")
    made.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in VALUES.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    deadline = time.monotonic() + 120
    while (status := made.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]).endswith("_PROGRESS"):
        assert time.monotonic() < deadline, status
    reasons = [
        one.get("ResourceStatusReason", "")
        for one in made.describe_stack_events(StackName=name)["StackEvents"]
        if one["ResourceStatus"] == "CREATE_FAILED"
    ]
    return status, " ".join(reasons)


@pytest.mark.parametrize("kind", sorted(UNKNOWN))
def test_what_ministack_cannot_make_it_refuses(
    ministack: Ministack, template: dict[str, Any], kind: str
) -> None:
    """So that nothing is thought to have been tried that was not. AWS's own schemas know all of them: cfn-lint."""
    part = {"Parameters": template["Parameters"], "Resources": of_type(template, kind)}
    assert part["Resources"]
    name = kind.replace("::", "-").lower()
    assert _create(ministack, name, part) == ("ROLLBACK_COMPLETE", f"Unsupported resource type: {kind}")


@pytest.fixture(scope="module")
def stack(ministack: Ministack, template: dict[str, Any]) -> dict[str, str]:
    """The physical name of each resource that ministack makes, of the template without those that it cannot."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("newsletter/aws/door.py", "def handler(event, context):\n    return {}\n")
    s3 = ministack.client("s3")
    s3.create_bucket(Bucket=VALUES["CodeBucket"], CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=VALUES["CodeBucket"], Key=VALUES["CodeKey"], Body=code.getvalue())
    left_out = {name for name, one in template["Resources"].items() if one["Type"] in UNKNOWN}
    part = _without(template, left_out)
    assert _create(ministack, "briefing", part) == ("CREATE_COMPLETE", "")
    listed = ministack.client("cloudformation").describe_stack_resources(StackName="briefing")
    made = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed["StackResources"]}
    assert set(made) == set(template["Resources"]) - left_out
    return made


def _without(template: Mapping[str, Any], names: set[str]) -> Any:
    """The template without these resources, and a word wherever another refers to one of them."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            refers = value.get("Ref") or (value.get("Fn::GetAtt") or [""])[0]
            if refers in names:
                return "left-out"
            return {key: cut(one) for key, one in value.items() if key not in names}
        return [cut(one) for one in value] if isinstance(value, list) else value

    return cut(template)


def test_the_table_is_made_for_the_store(ministack: Ministack, stack: dict[str, str]) -> None:
    table = ministack.client("dynamodb").describe_table(TableName=stack["Store"])["Table"]
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"]
    # The store finds its journal by this name.
    assert stack["Journal"] == stack["Store"] + SUFFIX


def test_the_queues_are_there_with_their_dead_letters(ministack: Ministack, stack: dict[str, str]) -> None:
    sqs = ministack.client("sqs")
    for queue, hidden in (("SendQueue", "720"), ("EventsQueue", "360")):
        facts = sqs.get_queue_attributes(QueueUrl=stack[queue], AttributeNames=["All"])["Attributes"]
        assert facts["VisibilityTimeout"] == hidden
        assert json.loads(facts["Policy"])["Statement"]
    for queue in ("SendDeadLetters", "EventsDeadLetters"):
        assert sqs.get_queue_attributes(QueueUrl=stack[queue], AttributeNames=["QueueArn"])["Attributes"]


def test_a_word_of_ses_reaches_the_queue_through_the_topic(
    ministack: Ministack, stack: dict[str, str]
) -> None:
    sns, sqs = ministack.client("sns"), ministack.client("sqs")
    topic = sns.get_topic_attributes(TopicArn=stack["EventsTopic"])["Attributes"]
    assert json.loads(topic["Policy"])["Statement"][0]["Principal"] == {"Service": "ses.amazonaws.com"}
    # Else the function's own mapping would take it, whenever that looks.
    ministack.client("lambda").update_event_source_mapping(UUID=stack["EventsSource"], Enabled=False)
    sns.publish(TopicArn=stack["EventsTopic"], Message='{"eventType": "Send"}')
    [message] = sqs.receive_message(QueueUrl=stack["EventsQueue"], WaitTimeSeconds=10)["Messages"]
    assert json.loads(message["Body"])["TopicArn"] == stack["EventsTopic"]


def test_the_identity_and_the_configuration_set_are_there(
    ministack: Ministack, stack: dict[str, str]
) -> None:
    assert "example.org" in ministack.client("ses").list_identities()["Identities"]
    name = stack["ConfigurationSet"]
    assert ministack.client("sesv2").get_configuration_set(ConfigurationSetName=name)
    assert stack["ConfigurationSetEvents"] == f"{name}|ledger"


def test_the_functions_run_with_roles_of_their_own_and_are_fed_by_the_queues(
    ministack: Ministack, stack: dict[str, str]
) -> None:
    functions, iam = ministack.client("lambda"), ministack.client("iam")
    for name in ("Door", "Worker", "Events", "Schedule"):
        facts = functions.get_function_configuration(FunctionName=stack[name])
        assert facts["Role"].endswith(f"/{stack[f'{name}Role']}")
        assert facts["Environment"]["Variables"]["STORE_URL"] == f"dynamodb://{stack['Store']}"
        assert iam.get_role_policy(RoleName=stack[f"{name}Role"], PolicyName=name.lower())["PolicyDocument"]
    fed = {
        one["EventSourceArn"].rpartition(":")[2]: one["FunctionArn"].rpartition(":")[2]
        for one in functions.list_event_source_mappings()["EventSourceMappings"]
    }
    for queue, name in (("SendQueue", "Worker"), ("EventsQueue", "Events")):
        assert fed[stack[queue].rpartition("/")[2]] == stack[name]
    key = ministack.client("secretsmanager").get_secret_value(SecretId=stack["LinkKey"])["SecretString"]
    assert len(key) == 48


def test_the_bucket_is_read_by_cloudfront_and_by_nobody_else(
    ministack: Ministack, stack: dict[str, str]
) -> None:
    s3 = ministack.client("s3")
    assert s3.get_bucket_versioning(Bucket=stack["SiteBucket"])["Status"] == "Enabled"
    allowed = [
        one
        for one in json.loads(s3.get_bucket_policy(Bucket=stack["SiteBucket"])["Policy"])["Statement"]
        if one["Effect"] == "Allow"
    ]
    assert [one["Principal"] for one in allowed] == [{"Service": "cloudfront.amazonaws.com"}]
    assert allowed[0]["Resource"].endswith("/site/*")


def test_the_rest_is_there_too(ministack: Ministack, stack: dict[str, str]) -> None:
    # Neither get_distribution nor list_distributions answers for what CloudFormation has made: HTTP 500, see below.
    assert ministack.client("cloudfront").list_invalidations(DistributionId=stack["SiteDistribution"])
    api = ministack.client("apigatewayv2")
    assert api.get_routes(ApiId=stack["DoorApi"])["Items"][0]["RouteKey"] == "$default"
    assert api.get_integrations(ApiId=stack["DoorApi"])["Items"][0]["PayloadFormatVersion"] == "2.0"
    assert api.get_stages(ApiId=stack["DoorApi"])["Items"][0]["StageName"] == "$default"
    alarms = ministack.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {one["MetricName"] for one in alarms} >= {
        "Reputation.BounceRate", "Reputation.ComplaintRate", "Errors", "ApproximateNumberOfMessagesVisible",
    }  # fmt: skip
    schedule = ministack.client("scheduler").list_schedules()["Schedules"]
    assert [one["Name"] for one in schedule] == [stack["EveryMinute"].rpartition("/")[2]]
    subscribed = ministack.client("sns").list_subscriptions_by_topic(TopicArn=stack["Alerts"])[
        "Subscriptions"
    ]
    assert [one["Endpoint"] for one in subscribed] == ["operator@example.org"]
    iam = ministack.client("iam")
    for name in ("PublisherPolicy", "OperatorPolicy"):
        assert iam.get_policy(PolicyArn=stack[name])["Policy"]
    logs = ministack.client("logs").describe_log_groups()["logGroups"]
    assert len([one for one in logs if one["logGroupName"].startswith("/aws/lambda/briefing-")]) == 4


def test_what_ministack_leaves_out_of_what_it_makes(
    ministack: Ministack, stack: dict[str, str], template: dict[str, Any]
) -> None:
    """Told by the template, checked by AWS's schemas, and not made here: so it was not tried."""
    sqs, dynamodb = ministack.client("sqs"), ministack.client("dynamodb")
    assert "RedrivePolicy" in properties(template, "SendQueue")
    queue = sqs.get_queue_attributes(QueueUrl=stack["SendQueue"], AttributeNames=["All"])["Attributes"]
    assert "RedrivePolicy" not in queue
    assert properties(template, "EventsTopic")["SignatureVersion"] == "2"
    topic = ministack.client("sns").get_topic_attributes(TopicArn=stack["EventsTopic"])["Attributes"]
    assert "SignatureVersion" not in topic
    assert properties(template, "Store")["TimeToLiveSpecification"]["Enabled"]
    lifetime = dynamodb.describe_time_to_live(TableName=stack["Store"])["TimeToLiveDescription"]
    assert lifetime["TimeToLiveStatus"] == "DISABLED"
    assert properties(template, "Store")["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    backups = dynamodb.describe_continuous_backups(TableName=stack["Store"])["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    assert all(properties(template, "SiteBucket")["PublicAccessBlockConfiguration"].values())
    for client, ask, parameters, words in (
        ("s3", "get_public_access_block", {"Bucket": stack["SiteBucket"]}, "NoSuchPublicAccessBlock"),
        ("sesv2", "get_email_identity", {"EmailIdentity": "example.org"}, "not found"),
        (
            "sesv2",
            "get_configuration_set_event_destinations",
            {"ConfigurationSetName": stack["ConfigurationSet"]},
            "Unknown SES v2 path",
        ),
        ("cloudfront", "get_distribution_config", {"Id": stack["SiteDistribution"]}, "Internal Server Error"),
    ):
        with pytest.raises(ClientError, match=words):
            getattr(ministack.client(client), ask)(**parameters)
    assert properties(template, "LinkKey")["GenerateSecretString"]["ExcludePunctuation"]
    keys = [
        ministack.client("secretsmanager").get_secret_value(SecretId=stack[name])["SecretString"]
        for name in ("LinkKey", "OriginKey")
    ]
    assert not "".join(keys).isalnum()  # of 96 characters of its choice some are always punctuation
