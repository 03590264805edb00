"""Forms that change something carry a sign that this gateway gave them to this caller."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from dicom_nodes.errors import CallerNotAllowed
from service.core.access import Caller

_LIFETIME_S = 12 * 3600


@dataclass(frozen=True)
class FormSigns:
    """Makes and checks the hidden field of forms; needs no cookie and no session.

    Parameters
    ----------
    key : 32 bytes, the same in every web process
    clock : seconds since the epoch, UTC
    """

    key: bytes = field(repr=False)
    clock: Callable[[], float]

    def sign(self, caller: Caller) -> str:
        """The field's value for a form that this caller is shown now."""
        at = str(int(self.clock()))
        return f"{at}.{self._mac(caller, at)}"

    def check(self, caller: Caller, value: str) -> None:
        """Accept what was given to this caller within the last twelve hours.

        Raises
        ------
        CallerNotAllowed : it was not, or is none
        """
        at, _, mac = value.partition(".")
        genuine = hmac.compare_digest(self._mac(caller, at).encode(), mac.encode())
        if not genuine or self.clock() - int(at) > _LIFETIME_S:
            raise CallerNotAllowed("this form is too old or was not given to you; load the page again")

    def _mac(self, caller: Caller, at: str) -> str:
        text = f"form\0{caller.kind}\0{caller.name}\0{at}"
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
