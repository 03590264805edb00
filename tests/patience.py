"""How long a test waits for what must come before it says that it did not.

A guard against waiting for ever and no bound on anything's speed: it is as long on a fast machine as on a slow one, and
only a test that fails ever waits so long.
"""

from __future__ import annotations

PATIENCE_S = 600
