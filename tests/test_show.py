"""What is printed: a file's content stays text, whatever it would like to do to the terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

import newsletter
from newsletter.show import Progress, Tally, columns, duration, say, say_error, table

PLUGINS = Path(newsletter.__file__).parent.parent
# Every sign that moves the cursor, ends a line, turns the direction of writing, or is no character at all.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
TRICKS = [chr(code) for code in range(0x11_0000) if unicodedata.category(chr(code)) in UNSEEN]
ATTACK = "a\x1b[2J\x1b]0;owned\x07\x1b[31m\rb\x08\x7f\x9b2J\x9d0;owned\x9c\u202ec\u2028d"


def lines(text: str) -> list[str]:
    """The lines printed; they hold nothing but characters that can be seen."""
    found = text.removesuffix("\n").split("\n")
    for line in found:
        hidden = {
            f"U+{ord(character):04X}" for character in line if unicodedata.category(character) in UNSEEN
        }
        assert not hidden, sorted(hidden)[:9]
    return found


@pytest.mark.parametrize("seconds", [None, 1.25])
def test_a_line_is_one_line_of_visible_characters(
    capsys: pytest.CaptureFixture[str], seconds: float | None
) -> None:
    for attack in (ATTACK, "".join(TRICKS)):
        say("mail", f"before {attack} after", seconds)
        (line,) = lines(capsys.readouterr().out)
        assert line.startswith("mail ")
        assert " before " in line
        assert " after" in line


def test_not_even_the_label_writes_over_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(ATTACK, "x")
    assert len(lines(capsys.readouterr().out)) == 1


def test_an_error_has_its_own_lines_and_no_other_control(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(f"list.csv:3: {ATTACK}\nsecond {ATTACK}")
    shown = capsys.readouterr()
    first, second = lines(shown.err)
    assert first.startswith("✗ list.csv:3: a")
    assert second.startswith("  second a")
    assert shown.out == ""
    say_error("".join(TRICKS).replace("\n", ""))
    assert len(lines(capsys.readouterr().err)) == 1


def test_neither_title_nor_name_of_a_table_writes_over_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = "a\x1b[2J\x07\rb\x9b\u202e"
    table(short, [(short, 1), ("pending", 1_234_567)])
    out = capsys.readouterr().out
    assert len(lines(out)) == 3
    assert "1,234,567" in out


def test_what_was_hidden_is_shown_so_that_it_can_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("a\x1b[2Jb\u202ec")
    assert "a\\x1b[2Jb\\x202ec" in capsys.readouterr().err.replace("\\u", "\\x")


def test_letters_of_every_script_and_brackets_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Jürgen <j@example.org> [bold]no markup[/bold] :smile: “20–45 %” القاهرة 北京 🇮🇶"
    say("briefing", text)
    say_error(text)
    table(text[:40], [(text[:40], 7)])
    shown = capsys.readouterr()
    assert shown.out.count(text[:40]) == 3
    assert text in shown.out
    assert shown.err.count(text) == 1


@pytest.mark.parametrize("call", ["say('x', attack)", "say_error(attack)", "table('x', [(attack, 1)])"])
def test_in_a_real_terminal_only_our_own_looks_are_written(call: str) -> None:
    """A terminal gets bold and colour from us; so what comes from elsewhere must be told apart."""
    code = f"from newsletter.show import *; attack = {ATTACK!r}; {call}"
    ours, theirs = pty.openpty()
    try:
        environment = {
            **os.environ,
            "PYTHONPATH": str(PLUGINS),
            "TERM": "xterm-256color",
            "COLUMNS": "200",
        }
        subprocess.run(
            [sys.executable, "-c", code], env=environment, stdout=theirs, stderr=theirs, check=True
        )
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    for sequence in (
        "\x1b[2J",
        "\x1b]",
        "\x07",
        "\x1b[31m",
        "\x08",
        "\x7f",
        "\x9b",
        "\x9d",
        "\u202e",
        "\u2028",
    ):
        assert sequence not in shown, repr(sequence)
    assert "\r" not in shown.replace("\r\n", "")
    assert "owned" in shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"), (0.4, "0 s"), (89, "89 s"), (90, "2 min"), (480, "8 min"), (5_300, "88 min"), (5_400, "1 h 30 min"),
        (7_200, "2 h"), (11_520, "3 h 12 min"), (129_599, "1 d 12 h"), (187_200, "2 d 4 h"), (172_800, "2 d"),
    ],
)  # fmt: skip
def test_a_stretch_of_time_is_said_as_one_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_facts_side_by_side_keep_their_columns_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    columns(
        "Mailings",
        ("briefing", "through", "left"),
        [("2020-10", "a\x1b[2Jb", 1_234_567), ("2020-09", "b", 0)],
    )
    title, heads, first, second = lines(capsys.readouterr().out)
    assert title.startswith("Mailings")
    assert first.rstrip().endswith("1,234,567")
    assert len(first.rstrip()) == len(second.rstrip()) == len(heads.rstrip())


class Ticks:
    """A clock in seconds that moves when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Mailing:
    """A mailing of 10,000 of which the ledger counts what was done."""

    def __init__(self) -> None:
        self.done = self.looks = 0

    def look(self) -> Tally:
        self.looks += 1
        return Tally(10_000, self.done, (("submitted", self.done - 50), ("in doubt", 50), ("failed", 0)))


def test_where_there_is_no_terminal_a_long_run_says_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ticks, mailing = Ticks(), Mailing()
    with Progress(mailing.look, ticks) as progress:
        for _ in range(65):
            ticks.now += 1
            mailing.done += 100
            progress.advance(100)
    first, second = lines(capsys.readouterr().out)
    assert (
        first.split("progress")[1].strip()
        == "3,000 of 10,000 · 100/s · 70 s left · 2,950 submitted · 50 in doubt"
    )
    assert "6,000 of 10,000" in second
    assert "40 s left" in second


def test_a_short_run_without_a_terminal_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ticks, mailing = Ticks(), Mailing()
    with Progress(mailing.look, ticks) as progress:
        for _ in range(29):
            ticks.now += 1
            progress.advance(100)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_counting_takes_little_of_the_time_however_large_the_ledger(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ticks, mailing = Ticks(), Mailing()

    def slow_look() -> Tally:
        ticks.now += 2.0  # a ledger of millions
        return mailing.look()

    progress = Progress(slow_look, ticks)
    begun = ticks.now
    for _ in range(2000):
        ticks.now += 0.1
        progress.advance(1)
    assert mailing.looks * 2.0 < 0.1 * (ticks.now - begun)


def test_in_a_terminal_the_bar_says_how_far_how_fast_and_what_became_of_them() -> None:
    """And after a resumption it goes by what is done now: the speed does not count what was done before."""
    code = (
        "import time; from newsletter.show import *\n"
        "done = 5000\n"
        "with Progress(lambda: Tally(10_000, done, (('submitted', done - 50), ('in doubt', 50)))) as bar:\n"
        "    for _ in range(12):\n"
        "        time.sleep(0.1); done += 10; bar.advance(10)\n"
        "    bar.note('Stopping: a sentence.'); time.sleep(0.4)\n"
        "say('mail', 'done')"
    )
    for width in (80, 120):
        screen = at_a_terminal(code, width)
        assert "5,120 of 10,000" in screen
        assert "50 in doubt" in screen
        speeds = [int(speed) for speed in re.findall(r"   (\d+)/s", screen)]
        assert speeds
        assert max(speeds) <= 200
        assert "Stopping: a sentence." in screen
        assert (
            max(len(line) for line in re.split(r"\r|\n", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)))
            <= width
        )
        assert screen.rstrip().endswith("done")


def test_what_is_said_while_the_bar_is_drawn_is_not_drawn_over() -> None:
    """Each time before it says something the bar is wiped away, and after it drawn anew."""
    code = (
        "import time; from newsletter.show import *\n"
        "with Progress(lambda: Tally(100, 50, (('submitted', 50),))) as bar:\n"
        "    time.sleep(0.3); say('watch', 'waiting for events'); time.sleep(0.3)\n"
    )
    screen = at_a_terminal(code, 100)
    before, said, after = screen.partition("\x1b[1mwatch")
    assert said
    assert before.endswith("\x1b[2K"), before[-40:]
    assert "50 of 100" in after


def test_in_a_terminal_a_command_that_an_error_ends_with_stands_alone_and_whole() -> None:
    command = "newsletter send 2020-10 --canary 20 --no-brakes --approve " + "a" * 64
    words = "229 are pending, and nobody of them was mailed. " * 3
    screen = at_a_terminal(f"from newsletter.show import *; say_error({words + 'Go on: ' + command!r})", 80)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).splitlines()
    assert lines[-1] == f"  {command}"
    assert all(line.startswith(("✗ ", "  ")) and len(line) <= 80 for line in lines[:-1])
    assert lines[-2].endswith("Go on:")


def test_a_sentence_said_within_a_signal_is_seen_where_there_is_no_terminal() -> None:
    code = (
        "import os, signal; from newsletter.show import *\n"
        "bar = Progress(lambda: Tally(1, 0))\n"
        "signal.signal(signal.SIGINT, lambda *_: bar.note('Stopping.'))\n"
        "with bar: os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "Stopping.\n"


def at_a_terminal(code: str, width: int) -> str:
    """Run Python at a terminal so many columns wide; all that was written to it."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS), "TERM": "xterm-256color", "COLUMNS": str(width)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    with suppress(OSError):  # it has gone
        while chunk := os.read(ours, 65536):
            written += chunk
    os.close(ours)
    assert process.wait(20) == 0
    return written.decode()
