"""What cleaning a header gives."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.core.records import SealedEntry
from service.deident.rules import Decision


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A clean header and what became of the original.

    Parameters
    ----------
    sealed : vault rows: the patient, the study, and the old UID of each of study, series, instance, frame of reference
    decisions : one for each element, only when asked for
    patient_digest : tells two patients under one Study Instance UID apart
    encoded : the clean header as bytes, in the encoding in which it was read; None where it was not at hand. Whoever
        changes ``data_set`` must not use it
    """

    data_set: Dataset = field(repr=False)
    sealed: tuple[SealedEntry, ...]
    decisions: tuple[Decision, ...]
    elements_removed: int
    elements_replaced: int
    patient_digest: bytes = b""
    encoded: bytes | None = field(default=None, repr=False)
