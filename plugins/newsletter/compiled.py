"""Templates, compiled once for all who print with them: Pelican gives each of its generators a Jinja of its own."""

from __future__ import annotations

from contextlib import suppress

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """What Jinja has compiled, in memory, by the name and the text of each template."""

    def __init__(self) -> None:
        self._buckets: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Called by Jinja, which looks itself whether the template has changed."""
        with suppress(KeyError):
            bucket.bytecode_from_string(self._buckets[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Called by Jinja after it has compiled one."""
        self._buckets[bucket.key] = bucket.bytecode_to_string()

    def clear(self) -> None:
        """Forget all of them."""
        self._buckets.clear()
