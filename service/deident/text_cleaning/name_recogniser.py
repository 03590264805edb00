"""The port for a model that finds names in sentences; none is built in, and none is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.errors import GatewayError


class NamesNotRecognised(GatewayError):
    """The recogniser gave no answer that can be used; the text at hand goes."""


class NameRecogniser(Protocol):
    """Finds names of persons, places and institutions."""

    def names_in(self, text: str) -> Sequence[tuple[int, int]]:
        """Return where names stand: start and end in characters, in any order.

        Raises
        ------
        NamesNotRecognised : there is no answer
        """
