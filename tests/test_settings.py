"""The environment: keys that nobody else can read, a region by either name, and the right folder."""

from __future__ import annotations

import os
import stat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from newsletter import tokens
from newsletter.errors import SettingsError
from newsletter.ses.submit import Ses
from newsletter.settings import Settings

STORE = {"STORE_URL": "sqlite:///x.db"}
LEAVE = tokens.Purpose.UNSUBSCRIBE
ROUNDS = 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, where everything it says happens."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(text: str) -> tuple[bytes, ...]:
    return Settings.from_env({**STORE, "SECRET_KEY": text}).secret_keys()


def key_file(folder: Path) -> Path:
    return folder / "var/secret.key"


# -- the key of an installation


def test_the_key_that_is_made_can_be_read_by_its_owner_only(folder: Path) -> None:
    before = os.umask(0)  # the most generous: the file must be closed by itself
    try:
        (key,) = keys("")
    finally:
        os.umask(before)
    assert len(key) >= 32
    assert stat.S_IMODE(key_file(folder).stat().st_mode) == 0o600
    assert key in key_file(folder).read_bytes()


def test_the_key_is_made_once_and_then_kept(folder: Path) -> None:
    first = keys("")
    data = key_file(folder).read_bytes()
    assert keys("") == first
    assert Settings(store_url="").secret_keys() == first
    assert key_file(folder).read_bytes() == data


def test_two_installations_have_two_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keys("")
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert keys("") != first


def _first_use(folder: str, barrier: Any, found: Any) -> None:
    """Put into `found` what one of several processes gets that need a key at the same moment, again and again."""
    got = []
    try:
        for number in range(ROUNDS):
            place = Path(folder, str(number))
            place.mkdir(exist_ok=True)
            os.chdir(place)
            barrier.wait(30)
            try:
                got.append(Settings(store_url="").secret_keys()[0].decode())
            except SettingsError as error:
                got.append(f"refused: {error}")
    finally:
        found.put(got)


def test_commands_begun_at_the_same_moment_agree_on_the_key(folder: Path) -> None:
    """Else links of one of them would be void, or it would find a key that is only half written."""
    context = get_context("spawn")
    barrier, found = context.Barrier(3), context.SimpleQueue()
    runs = [context.Process(target=_first_use, args=(str(folder), barrier, found)) for _ in range(3)]
    for run in runs:
        run.start()
    got = [found.get() for _ in runs]
    for run in runs:
        run.join()
    found.close()
    for number, each in enumerate(zip(*got, strict=True)):
        assert len(set(each)) == 1, each
        assert each[0].encode() in key_file(folder / str(number)).read_bytes()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 31, b"x" * 31 + b"\n\n"], ids=repr)
def test_a_key_file_that_lost_its_content_is_told_and_not_made_anew(folder: Path, content: bytes) -> None:
    """A new key would void the links in every mail that went out."""
    keys("")
    path = key_file(folder)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="backup"):
        keys("")
    assert path.read_bytes() == content


# -- keys from the environment


def test_a_key_that_could_be_guessed_is_refused_at_once() -> None:
    for short in ("x", "x" * 31, f"{'x' * 32},{'y' * 31}", f"{'y' * 31},{'x' * 32}"):
        with pytest.raises(SettingsError, match=r"SECRET_KEY.*32 characters") as caught:
            Settings.from_env({**STORE, "SECRET_KEY": short})
        assert short not in str(caught.value)
    assert keys("x" * 32) == (b"x" * 32,)


def test_the_first_of_several_keys_signs_and_the_others_still_verify() -> None:
    new, old = keys(f" {'n' * 32} , {'o' * 32},")
    assert (new, old) == (b"n" * 32, b"o" * 32)
    subject = b"s" * 16
    assert tokens.verify(tokens.mint(LEAVE, subject, keys("o" * 32)), LEAVE, (new, old)) == subject
    assert tokens.verify(tokens.mint(LEAVE, subject, (new, old)), LEAVE, keys("n" * 32)) == subject


def test_a_key_that_is_given_makes_no_file(folder: Path) -> None:
    keys("x" * 32)
    assert list(folder.iterdir()) == []


def test_no_key_is_shown_where_settings_are_printed() -> None:
    assert "xxxx" not in repr(Settings.from_env({**STORE, "SECRET_KEY": "x" * 32}))


# -- the region


@pytest.mark.parametrize(
    ("names", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "us-east-2"}, "eu-north-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-north-1"}, "eu-north-1"),
    ],
    ids=["AWS_REGION", "AWS_DEFAULT_REGION", "both", "one empty"],
)
def test_mail_goes_through_the_region_by_whichever_name_it_is_given(
    names: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_SESV2"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**STORE, **names}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_env()
    assert settings.region == region
    assert (
        Ses(settings.configuration_set, settings.region).endpoint == f"https://email.{region}.amazonaws.com"
    )


def test_without_a_region_boto3_is_left_to_find_one() -> None:
    assert Settings.from_env(STORE).region == ""


def test_what_the_environment_says_of_ses_is_taken() -> None:
    settings = Settings.from_env(
        {**STORE, "SES_CONFIGURATION_SET": "c", "EVENTS_QUEUE_URL": "q", "EVENTS_TOPIC_ARN": "t"}
    )
    found = (settings.configuration_set, settings.events_queue_url, settings.events_topic_arn)
    assert found == ("c", "q", "t")


# -- the folder


def test_away_from_the_project_s_folder_it_says_where_to_go_and_makes_nothing(folder: Path) -> None:
    for environment in ({}, {"STORE_URL": ""}):
        with pytest.raises(SettingsError, match=r"publication\.toml.*STORE_URL="):
            Settings.from_env(environment)
    assert list(folder.iterdir()) == []


def test_in_the_project_s_folder_the_store_is_its_own_unless_another_is_named(folder: Path) -> None:
    assert Settings.from_env(STORE).store_url == STORE["STORE_URL"]
    (folder / "publication.toml").touch()
    assert Settings.from_env({}).store_url == "sqlite:///var/newsletter.db"
    assert Settings.from_env(STORE).store_url == STORE["STORE_URL"]


@pytest.mark.parametrize(
    ("name", "text"), [("TRUSTED_PROXIES", "-1"), ("TRUSTED_PROXIES", "yes"), ("PROOF_OF_WORK", "never")]
)
def test_a_setting_of_the_door_that_cannot_be_is_refused_at_once(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**STORE, name: text})


def test_the_door_believes_no_proxy_and_asks_for_no_work_unless_told() -> None:
    usual = Settings.from_env(STORE)
    assert (usual.trusted_proxies, usual.always_work) == (0, False)
    told = Settings.from_env({**STORE, "TRUSTED_PROXIES": "2", "PROOF_OF_WORK": "always"})
    assert (told.trusted_proxies, told.always_work) == (2, True)
