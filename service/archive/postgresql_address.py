"""What an address of PostgreSQL says wrongly, told by the option's name and without its value."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import URL

from service.errors import SettingsInvalid

# How libpq and psycopg name what they do not take.
_UNKNOWN: Final = re.compile(r'invalid connection option "(\w+)"')
_VALUE: Final = re.compile(
    r'invalid integer value .* for connection option "(\w+)"|invalid "?(\w+)"? value|bad value for (\w+)'
    r"|invalid (port) number|definition of (service) "
)


def refuse_misread(url: URL) -> None:
    """Refuse an address that was taken apart in the middle of a password with an unwritten ``@`` and ``?``.

    Raises
    ------
    SettingsInvalid : it was; what stands in its options may be of the password, and is not told
    """
    values = [value for given in url.query.values() for value in ([given] if isinstance(given, str) else given)]
    if not url.database and any("@" in value for value in values):
        raise unreadable()


def unreadable() -> SettingsInvalid:
    """An address that cannot be taken apart; SQLAlchemy's own words would quote a piece of it."""
    return SettingsInvalid(
        "the index's address cannot be read; in a user name or password @, :, / and % have to be written as %40, "
        "%3A, %2F and %25"
    )


def wrong_option(words: str) -> SettingsInvalid | None:
    """The option that a driver's words refuse; None where they tell of something else."""
    if unknown := _UNKNOWN.search(words):
        return SettingsInvalid(f"the index's address has an option that PostgreSQL does not know: {unknown[1]}")
    if wrong := _VALUE.search(words):
        name = next(group for group in wrong.groups() if group)
        return SettingsInvalid(f"the index's address has a value that PostgreSQL does not take: that of {name}")
    return None
