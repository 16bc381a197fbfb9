"""What is printed: a file's content stays text, whatever it would like to do to the terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import newsletter
from newsletter.show import say, say_error, table

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
