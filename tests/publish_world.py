"""A bucket in ministack behind a proxy that cuts, small sites to publish into it, and what a visitor would find there."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from newsletter.door.app import is_door
from tests.ministack_world import KEYS, REGION, Ministack

_LINK = re.compile(r'(?:href|src)="(/[^"#?]*)"|<link>(/[^<]*)</link>')
_HOP = {"connection", "transfer-encoding", "keep-alive"}
_LONG = "A sentence of which a page of some length is made. " * 40


@dataclass
class Cut:
    """What the proxy does at a request: `at` counts from 1 (0: at none), `after` ministack has had it or before."""

    at: int = 0
    after: bool = False
    do: Callable[[], None] = lambda: None  # while the caller waits; its connection is closed then
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def counts(self, line: str) -> bool:
        """Whether it is this one."""
        with self.lock:
            self.seen.append(line)
            return len(self.seen) == self.at


@contextmanager
def proxy(to: str) -> Iterator[tuple[str, list[Cut]]]:
    """An address that leads to `to`, and the cut that holds there: the last of the list."""
    target, cuts = urlsplit(to).netloc, [Cut()]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            cut = cuts[-1]
            here = cut.counts(f"{self.command} {self.path}")
            if here and not cut.after:
                cut.do()
                self.close_connection = True
                return
            with closing(HTTPConnection(target, timeout=120)) as there:
                there.request(self.command, self.path, body, dict(self.headers))
                with there.getresponse() as answer:
                    said = answer.read()
            if here:
                cut.do()
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {*_HOP, "content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # whoever asked was killed
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", cuts
        finally:
            server.shutdown()
            thread.join()


def site(folder: Path, files: Mapping[str, str]) -> Path:
    """A built site with these files."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def page(*links: str, text: str = "") -> str:
    return (
        "<!doctype html><title>A page</title>" + "".join(f'<a href="{link}">x</a>' for link in links) + text
    )


def before(folder: Path) -> Path:
    """The site as it was."""
    return site(
        folder,
        {
            "index.html": page("/a/", "/b/", "/theme/site.css", text=_LONG),
            "a/index.html": page("/", "/b/", "/theme/site.css", "/theme/old.png", "/a/a.pdf", text=_LONG),
            "b/index.html": page("/", "/theme/site.css"),
            "c/index.html": page("/", "/theme/site.css"),
            "a/a.pdf": "%PDF of a",
            "theme/site.css": "body { color: black }",
            "theme/old.png": "a picture",
            "pagefind/fragment/en_aaaaaaa.pf_fragment": "fragment",
            "feed.xml": "<rss><link>/a/</link><link>/b/</link></rss>",
            "robots.txt": "User-agent: *",
        },
    )


def after(folder: Path, colour: str = "blue") -> Path:
    """The site as it is to be: /b/ and a picture are gone, /d/ and /e/ lead to each other, the home page to both."""
    return site(
        folder,
        {
            "index.html": page("/a/", "/d/", "/e/", "/theme/site.css", text=_LONG + colour),
            "a/index.html": page("/", "/d/", "/theme/site.css", "/theme/new.png", "/a/a.pdf", text=_LONG),
            "c/index.html": page("/", "/theme/site.css"),
            "d/index.html": page("/", "/e/", "/d/d.pdf", "/d/feed.xml"),
            "e/index.html": page("/", "/d/", "/theme/new.png"),
            "a/a.pdf": "%PDF of a",
            "d/d.pdf": "%PDF of d",
            "d/feed.xml": "<feed><link>/d/</link></feed>",
            "theme/site.css": f"body {{ color: {colour} }}",
            "theme/new.png": "another picture",
            "pagefind/fragment/en_bbbbbbb.pf_fragment": "fragment",
            "feed.xml": "<rss><link>/a/</link><link>/d/</link><link>/e/</link></rss>",
            "robots.txt": "User-agent: *",
        },
    )


@dataclass
class Place:
    """One bucket, and what a visitor finds in it."""

    ministack: Ministack
    name: str

    @classmethod
    def make(cls, ministack: Ministack, name: str) -> Place:
        ministack.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return cls(ministack, name)

    def keys(self, prefix: str = "site/") -> set[str]:
        pages = self.ministack.client("s3").get_paginator("list_objects_v2")
        return {
            one["Key"].removeprefix(prefix)
            for answer in pages.paginate(Bucket=self.name, Prefix=prefix)
            for one in answer.get("Contents", ())
        }

    def get(self, path: str) -> tuple[bytes, dict[str, Any]]:
        """A file as a browser gets it, and its headers."""
        answer = self.ministack.client("s3").get_object(Bucket=self.name, Key=f"site/{path}")
        body = answer["Body"].read()
        if answer.get("ContentEncoding") == "gzip":
            body = gzip.decompress(body)
        return body, answer

    def files(self) -> dict[str, bytes]:
        return {path: self.get(path)[0] for path in self.keys()}

    def dead_ends(self, *doors: str) -> list[str]:
        """What is not there of all that can be reached from these files: "from → to"."""
        files, dead = self.files(), []
        to_do, known = [door for door in doors if door in files], set(doors)
        while to_do:
            path = to_do.pop()
            if not path.endswith((".html", ".xml")):
                continue
            for first, second in _LINK.findall(files[path].decode()):
                link = (first or second)[1:]
                target = f"{link}index.html" if not link or link.endswith("/") else link
                if is_door(f"/{link}"):
                    continue
                if target not in files:
                    dead.append(f"{path} → {target}")
                elif target not in known:
                    known.add(target)
                    to_do.append(target)
        return dead


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def publish(endpoint: str, bucket: str, folder: Path, distribution: str = "", silent: float = 60.0) -> int:
    """Publish as the command does; how many files were uploaded."""
    from newsletter.publish.bucket import Bucket
    from newsletter.publish.lease import Lease
    from newsletter.publish.piece import read
    from newsletter.publish.publishing import Publisher

    os.environ.update(KEYS | {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": endpoint})
    shelf = Bucket(bucket, distribution, REGION)
    plan = Publisher(shelf, Lease(shelf, "a test", silent)).publish(read(folder), force=True)
    return len(plan.uploads)


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["boto3", "newsletter.publish.bucket", "newsletter.publish.publishing"])
    return context


def start(*what: Any) -> Any:
    """`publish` in a process of its own."""
    child = _context().Process(target=publish, args=what)
    child.start()
    return child


def killed(cuts: list[Cut], at: int, later: bool, *what: Any) -> int | None:
    """Publish in a process that is killed at its request number `at`; its exit status, -9 if it came so far."""
    cut = Cut(at, later)
    there: list[Any] = []

    def kill() -> None:
        os.kill(there[0].pid, signal.SIGKILL)
        # Not by join(): of two threads that join one process, one is told its status and the other 255.
        wait([there[0].sentinel], 30)

    begun = threading.Event()
    cut.do = lambda: (begun.wait(30), kill())[-1]
    cuts.append(cut)
    there.append(start(*what))
    begun.set()
    there[0].join(120)
    cuts.append(Cut())
    status: int | None = there[0].exitcode
    return status
