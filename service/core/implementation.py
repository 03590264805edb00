"""How this implementation names itself in files and associations (PS3.7 D.3.3.2)."""

from __future__ import annotations

import uuid
from typing import Final

IMPLEMENTATION_CLASS_UID: Final = "2.25.280318406542157203925563347218466134203"
"""The same in every version; the version stands in the Implementation Version Name."""


def random_uid() -> str:
    """A UID that nobody had before (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"
