"""The archive that Lambda runs: all that the functions need is in it, and the same input gives the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, Project

_ASK = """
import sys
sys.path[:] = [".", *[path for path in sys.path if "site-packages" not in path and "plugins" not in path]]
import newsletter.aws.door, newsletter.aws.events, newsletter.aws.schedule, boto3
import zoneinfo
zoneinfo.reset_tzpath([])
assert newsletter.__file__.startswith({folder!r}) and boto3.__file__.startswith({folder!r})
for service in ("dynamodb", "sesv2", "sqs", "secretsmanager"):
    boto3.client(service, region_name="eu-west-1")
print([newsletter.aws.door.handler(request, None)["statusCode"] for request in {requests!r}])
"""


@pytest.mark.long
def test_the_archive_is_all_that_a_function_needs(built: Project, tmp_path: Path) -> None:
    """Its wheels come from PyPI, and are for another machine: what is compiled in them has Python beside it."""
    project = tmp_path / "project"
    for name in ("infra", "requirements"):
        (project / name).mkdir(parents=True)
    for name in ("infra/archive.py", "requirements/aws.txt"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    for name in ("plugins", "theme", "build", "publication.toml"):
        (project / name).symlink_to(built.path / name)
    digests = []
    for _ in range(2):
        packed = subprocess.run(
            [sys.executable, str(project / "infra/archive.py")], capture_output=True, text=True, check=False
        )
        assert packed.returncode == 0, packed.stderr
        digests.append((project / "build/lambda.zip").read_bytes())
    assert digests[0] == digests[1]
    folder = tmp_path / "task"
    with zipfile.ZipFile(project / "build/lambda.zip") as archive:
        archive.extractall(folder)
        assert not [name for name in archive.namelist() if name.endswith((".pyc", ".so.dbg"))]
    requests = [
        {
            "version": "2.0", "headers": {"x-origin-key": "k"}, "rawPath": path, "rawQueryString": "",
            "requestContext": {"http": {"method": "GET", "path": path, "sourceIp": "127.0.0.1"}}, "body": "",
        }
        for path in ("/health", "/subscribe")  # the store; a page, with what makes it
    ]  # fmt: skip
    answered = subprocess.run(
        [sys.executable, "-S", "-c", _ASK.format(folder=str(folder), requests=requests)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"STORE_URL": f"sqlite:///{tmp_path / 'store.db'}", "SECRET_KEY": "k" * 32, "ORIGIN_KEY": "k"},
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout) == [200, 200]
