"""Training, validation and test: by patient, never by image, and always the same for a patient and a seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from service.errors import BadRequest

PARTS: Final = ("train", "validation", "test")
_DIGEST_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class PatientSplit:
    """Which part of a dataset a patient belongs to.

    A digest of seed and patient decides, so that no other patient bears on it: whoever is added later moves nobody.
    Shares are therefore met on average; a dataset of a few patients may be far from them.

    Parameters
    ----------
    shares : of the parts, together 1; a part that is not named gets none

    Raises
    ------
    BadRequest : a share is none, or they do not come to 1
    """

    shares: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"train": 1.0}))
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.shares) - set(PARTS)):
            raise BadRequest(f"there is no part {', '.join(unknown)} of a dataset (there are: {', '.join(PARTS)})")
        if any(not 0 <= share <= 1 for share in self.shares.values()) or not math.isclose(
            sum(self.shares.values()), 1, abs_tol=1e-6
        ):
            raise BadRequest("the shares of a split lie between 0 and 1 and come to 1 together")

    def part_of(self, patient: str) -> str:
        """The part of a patient, named as in the dataset."""
        digest = hashlib.sha256(f"{self.seed}\0{patient}".encode()).digest()
        place = int.from_bytes(digest[: _DIGEST_BITS // 8], "big") / (1 << _DIGEST_BITS)
        end, last = 0.0, PARTS[0]
        for part in PARTS:
            if share := self.shares.get(part, 0.0):
                last = part
                end += share
                if place < end:
                    return part
        return last  # shares that come to a hair less than 1
