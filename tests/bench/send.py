"""`make bench-send`: a briefing to 1,000,000 subscribers, from the list to the ledger's last line.

The sender is the real one: `Delivery` over boto3 and the SQLite store, on this disk and as durable as in earnest.
SES is a sink in a process of its own that only answers (sink.py); its CPU does not count. Everything measured is a
child process (sender.py), and what is compared is CPU time, user and system, which waiting does not change.

    import    the list as CSV, checked and without duplicates    beside .import of Debian's sqlite3 shell: the
              same file, unchecked, into a table without indexes
    freeze    every confirmed subscriber a recipient             beside INSERT … SELECT of the same columns into a
              table without indexes, in a copy of the database
    send      start, freeze and half of the calls, then killed between an answer and its record; started again, to
              the end                                            beside the same mail by one SendEmail a recipient
                                                                 and by SMTP, each for a sample of recipients

Per recipient, only the loop counts: neither start-up nor any ledger. The sink has no TLS, on either way.
Compared also with a list of a tenth of the size: memory, and the CPU a message, must not grow with the list.

Exit status: 0, or 1 when a figure is not what it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
BATCH = 50
ROUNDS = 3
SAMPLE = 2_000
