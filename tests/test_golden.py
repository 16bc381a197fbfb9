"""What each template prints, in outline: a change of a page that nobody meant is seen here.

tests/golden/KIND.txt holds every element of a page's main part with words of its own. After a change that is meant:

    python -m tests.test_golden
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from lxml import html

from tests.test_theme import KINDS, built

FOLDER = Path(__file__).parent / "golden"
TEMPLATES = KINDS | {"year": "/analyses/2020/", "search": "/search/", "forecasts": "/forecasts/"}
_SAID = ("href", "src", "action", "name", "type", "datetime", "aria-label", "role")


def outline(page: bytes) -> str:
    """The elements of a page's main part that say something: tag, what leads on or names, and their own words."""
    (main,) = html.fromstring(page).xpath("//main")
    lines = []
    for element in main.iter():
        if not isinstance(element.tag, str):
            continue
        words = " ".join(" ".join([element.text or "", *(child.tail or "" for child in element)]).split())
        said = [f"{name}={element.get(name)}" for name in _SAID if element.get(name)]
        if words or said:
            lines.append(" ".join([element.tag, *said, words[:60]]).strip())
    return "\n".join(lines) + "\n"


def _page(output: Path, path: str) -> bytes:
    file = output / path.strip("/")
    return (file / "index.html" if file.is_dir() else file).read_bytes()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_prints_what_it_did(output: Path, kind: str) -> None:
    kept = (FOLDER / f"{kind.replace(' ', '-')}.txt").read_text(encoding="utf-8")
    assert outline(_page(output, TEMPLATES[kind])) == kept, "if this is meant: python -m tests.test_golden"


def main() -> None:
    """Write the outlines anew."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        output = built(Path(name))
        for kind, path in TEMPLATES.items():
            target = FOLDER / f"{kind.replace(' ', '-')}.txt"
            target.write_text(outline(_page(output, path)), encoding="utf-8")


if __name__ == "__main__":
    main()
