"""A writer for Pelican that writes nothing down until somebody asks for the page.

A thousand pieces take seconds to write and milliseconds to note; the editor looks at one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pelican.paginator import Paginator
from pelican.writers import Writer


@dataclass(slots=True)
class Order:
    """One call of `write_file`, kept for later. `facts` are what its template is filled with."""

    name: str
    template: Any
    context: dict[str, Any]
    facts: dict[str, Any]
    ways: dict[str, Any]  # Pelican's own parameters: pagination, address, relative links

    @property
    def piece(self) -> Any:
        """The content whose page this is, or None for a list."""
        return self.facts.get("article") or self.facts.get("page")


class Book(Writer):  # type: ignore[misc]  # pelican has no types
    """The pages of one state of the content, by their places below the output folder."""

    def __init__(self, output: Path, settings: dict[str, Any]) -> None:
        super().__init__(str(output), settings=settings)
        self.orders: dict[str, Order] = {}
        self._open = ""

    def write_file(
        self,
        name: str,
        template: Any,
        context: dict[str, Any],
        relative_urls: bool = False,
        paginated: dict[str, Any] | None = None,
        template_name: str | None = None,
        override_output: bool = False,
        url: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the page; a list that goes over several is noted under each of their places."""
        if not name:
            return
        ways = {
            "relative_urls": relative_urls,
            "paginated": paginated,
            "template_name": template_name,
            "url": url,
        }
        order = Order(name, template, context, kwargs, ways)
        for place in self._places(order):
            known = self.orders.get(place)
            if known is None or override_output:
                self.orders[place] = order

    def _places(self, order: Order) -> Iterator[str]:
        listed = {key: value for key, value in order.facts.items() if key in ("articles", "dates")}
        paged = self.settings["PAGINATED_TEMPLATES"]
        if not listed or order.ways["template_name"] not in paged:
            yield order.name
            return
        size = paged[order.ways["template_name"]] or self.settings["DEFAULT_PAGINATION"]
        pages = Paginator(order.name, order.ways["url"], next(iter(listed.values())), self.settings, size)
        for number in range(pages.num_pages):
            yield pages.page(number + 1).save_as

    def page(self, place: str) -> str | None:
        """The page at `place` ("analyses/2020/slug/index.html"), written now; None if there is none."""
        order = self.orders.get(place)
        if order is None:
            return None
        self._open = os.path.abspath(os.path.join(self.output_path, place))
        super().write_file(
            order.name, _Only(order.template, place), order.context, **order.ways, **order.facts
        )
        return Path(self._open).read_text(encoding="utf-8")

    def _open_w(self, filename: str, encoding: str, override: bool = False) -> IO[str]:
        """Pelican asks for each page of a list; only the one that is wanted is kept."""
        target = filename if os.path.abspath(filename) == self._open else os.devnull
        return open(target, "w", encoding=encoding)


class _Only:
    """A template that is filled for one place and left empty for all others."""

    def __init__(self, template: Any, place: str) -> None:
        self._template, self._place = template, place

    def render(self, context: dict[str, Any]) -> str:
        return str(self._template.render(context)) if context["output_file"] == self._place else ""
