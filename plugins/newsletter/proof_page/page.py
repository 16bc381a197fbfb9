"""The proof as one page that needs nothing beside it, and as a summary in Markdown for a job of GitHub Actions."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from newsletter.proof_page import views
from newsletter.proof_page.facts import Proof
from newsletter.proof_page.links import Status

_TEMPLATES = Path(__file__).parent / "templates"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline' 'self'; img-src https: data:; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What the page needs where it is served: frames of mail have their looks inline."""


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kilobytes"] = lambda count: f"{count / 1024:.0f} KB"
    environment.filters["cell"] = lambda text: str(text).replace("|", r"\|").replace("\n", " ")
    return environment


def html(proof: Proof, site_url: str, button: bool = False) -> str:
    """The page. With `button`, one that has the links to others asked (the preview answers it)."""
    example = f"{site_url}/u/example"
    mail = views.filled(proof.package.html, proof.package, example)
    style = Markup((_TEMPLATES / "proof.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of ours
    return (
        _environment()
        .get_template("proof.html")
        .render(
            proof=proof,
            package=proof.package,
            sender=views.sender_name(proof.package),
            text=views.filled(proof.package.text, proof.package, example),
            frames={
                "light": views.view(mail),
                "dark": views.view(mail, dark=True),
                "bare": views.view(mail, pictures=False),
            },
            sandbox=views.SANDBOX,
            broken=Status.BROKEN,
            not_asked=Status.NOT_ASKED,
            style=style,
            button=button,
            has_pictures="<img" in proof.package.html,
        )
    )


def summary(proof: Proof) -> str:
    """The same in a few lines of Markdown."""
    return _environment().get_template("summary.md").render(proof=proof, package=proof.package)


def write(proof: Proof, folder: Path, site_url: str) -> Path:
    """Put index.html and summary.md into the folder; answers with the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(html(proof, site_url), encoding="utf-8")
    (folder / "summary.md").write_text(summary(proof), encoding="utf-8")
    return page
