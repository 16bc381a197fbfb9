"""The other sesv2 operations: templates, suppression list, configuration sets, identities.

Each function takes (db, params) or (core, params) and returns the response's JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from newsletter.local_ses import addresses, content, limits, message
from newsletter.local_ses.account import Account
from newsletter.local_ses.addresses import BadAddress
from newsletter.local_ses.publisher import Publisher
from newsletter.local_ses.refusal import AlreadyExists, BadRequest, NotFound, Refusal
from newsletter.local_ses.state import State
from newsletter.local_ses.template import RenderingFailure

Params = Mapping[str, Any]
Answer = dict[str, Any]
