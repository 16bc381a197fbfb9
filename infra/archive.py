"""`make lambda`: build/lambda.zip, what the functions of infra/template.yaml run.

    pip install --target  what requirements/aws.txt pins, by hash, as wheels for Lambda's machines
    plugins/newsletter    the package without the site half's data
    publication.toml, theme/templates/door, build/door, build/briefings

The same input gives the same bytes: files in order, one date, no compiled files. Of botocore's descriptions of 400
services only those stay that are asked; the function would unpack the others at each cold start.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from newsletter import publication
from newsletter.door.pages import Pages
from newsletter.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/lambda"
ARCHIVE = ROOT / "build/lambda.zip"
# As infra/template.yaml has it: Runtime and Architectures.
PYTHON, PLATFORM = "3.13", "manylinux_2_28_aarch64"
SERVICES = {"dynamodb", "sesv2", "secretsmanager", "sqs", "sts"}
# boto3's and Lambda's own: data that the functions never read, and tools that they never run.
_LEFT_OUT = ("*.pyc", "__pycache__", "bin", "*.dist-info/RECORD", "*.dist-info/direct_url.json")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can say
_OURS = ("publication.toml", "theme/templates/door", "build/door", "build/briefings")


def install() -> None:
    """Unpack the pinned wheels. pip refuses whatever has another hash."""
    shutil.rmtree(BUILD, ignore_errors=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}",
            f"--platform={PLATFORM}", "--platform=manylinux2014_aarch64", "--platform=manylinux_2_17_aarch64",
            "--target", str(BUILD), "--requirement", str(ROOT / "requirements/aws.txt"),
        ],
        check=True,
    )  # fmt: skip
    for service in (BUILD / "botocore/data").iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for pattern in _LEFT_OUT:
        for path in BUILD.rglob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def check() -> None:
    """Read the door's pages: the function reads each when it is first asked, and a visitor would find the fault."""
    try:
        facts = publication.load(ROOT / publication.FILE)
        Pages(facts, "", ROOT / "theme/templates", ROOT / "build/door/frame.html").read()
    except SettingsError as error:
        raise SystemExit(str(error)) from None


def files() -> Iterator[tuple[str, Path]]:
    """Everything that goes in, by its name there."""
    for folder, below in ((BUILD, BUILD), (ROOT / "plugins", ROOT / "plugins/newsletter")):
        for path in below.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(folder).as_posix(), path
    for name in _OURS:
        path = ROOT / name
        if not path.exists():
            raise SystemExit(f"{name}: not there. Build the site first: make html")
        for one in [path] if path.is_file() else sorted(path.rglob("*")):
            if one.is_file():
                yield one.relative_to(ROOT).as_posix(), one


def pack() -> str:
    """Write the archive; its SHA-256 (hex)."""
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in sorted(files()):
            facts = zipfile.ZipInfo(name, _DATE)
            facts.compress_type, facts.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(facts, path.read_bytes())
    return hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()


def main() -> None:
    """Install, pack, and say what to type next."""
    check()
    install()
    digest = pack()
    size = ARCHIVE.stat().st_size / 2**20
    print(f"lambda      {ARCHIVE.relative_to(ROOT)}: {size:.1f} MB, SHA-256 {digest[:16]}…")
    print(f"            aws s3 cp build/lambda.zip s3://CODE_BUCKET/lambda-{digest[:16]}.zip")


if __name__ == "__main__":
    main()
