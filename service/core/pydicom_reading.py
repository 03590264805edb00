"""How pydicom is told to read what scanners send: leniently, and without repeating values aloud."""

from __future__ import annotations

import logging
import warnings

from pydicom import config


def read_leniently() -> None:
    """Set pydicom's process-wide reading mode; called where a process is put together, harmless to repeat.

    Values that break their VR (an SH over 16 characters, a malformed DS) are read as they are: a gateway keeps what a
    scanner sends. pydicom's warnings and log lines about them are silenced because they quote the value, which may
    be a patient's name.
    """
    config.settings.reading_validation_mode = config.IGNORE
    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
