"""The query/retrieve information models: classes, levels, extended negotiation, statuses in words (PS3.4 C, K)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
PENDING_WITH_UNSUPPORTED_KEYS: Final = 0xFF01
CANCELLED: Final = 0xFE00
SUB_OPERATIONS_FAILED: Final = 0xB000
CANNOT_COUNT_MATCHES: Final = 0xA701
CANNOT_PERFORM_SUB_OPERATIONS: Final = 0xA702
DESTINATION_UNKNOWN: Final = 0xA801
IDENTIFIER_MISMATCH: Final = 0xA900
UNABLE_TO_PROCESS: Final = 0xC000

_WORDS: Final = {
    SUCCESS: "success",
    CANCELLED: "cancelled",
    SUB_OPERATIONS_FAILED: "some objects failed",
    0x0110: "processing failure",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0211: "operation not recognised",
    0x0212: "mistyped argument",
    0xA700: "out of resources",
    CANNOT_COUNT_MATCHES: "out of resources: cannot count the matches",
    CANNOT_PERFORM_SUB_OPERATIONS: "out of resources: cannot send the objects",
    DESTINATION_UNKNOWN: "the move destination is unknown",
    IDENTIFIER_MISMATCH: "the identifier does not match the SOP class",
}


def status_words(status: int) -> str:
    """A status of C-FIND, C-MOVE or C-GET for people, with its number."""
    words = _WORDS.get(status)
    if words is None and status & 0xF000 == UNABLE_TO_PROCESS:
        words = "unable to process"
    return f"{words} ({status:04X})" if words else f"status {status:04X}"


def is_pending(status: int) -> bool:
    """Whether more responses follow."""
    return status in (PENDING, PENDING_WITH_UNSUPPORTED_KEYS)


class Model(Enum):
    """An information model; the values are its SOP classes for FIND, MOVE and GET."""

    PATIENT_ROOT = tuple(f"1.2.840.10008.5.1.4.1.2.1.{number}" for number in (1, 2, 3))
    STUDY_ROOT = tuple(f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
    MODALITY_WORKLIST = ("1.2.840.10008.5.1.4.31", "", "")

    @property
    def find(self) -> str:
        """SOP class of C-FIND."""
        return str(self.value[0])

    @property
    def move(self) -> str:
        """SOP class of C-MOVE."""
        return str(self.value[1])

    @property
    def get(self) -> str:
        """SOP class of C-GET."""
        return str(self.value[2])


class QueryLevel(Enum):
    """Query/Retrieve Level (0008,0052), with the keyword of its unique key."""

    PATIENT = "PatientID"
    STUDY = "StudyInstanceUID"
    SERIES = "SeriesInstanceUID"
    IMAGE = "SOPInstanceUID"

    @property
    def unique_key(self) -> str:
        """Keyword of the level's unique key."""
        return self.value


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What SOP Class Extended Negotiation of the models is about (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1, K.5.1.1).

    Parameters
    ----------
    relational : keys of levels above need no single value
    date_time : a date range and a time range stand for one range from moment to moment
    fuzzy : person names are compared without case and accents
    time_zone : dates and times are adjusted to Timezone Offset From UTC of the query
    """

    relational: bool = False
    date_time: bool = False
    fuzzy: bool = False
    time_zone: bool = False

    def encode(self, *, retrieve: bool = False) -> bytes:
        """Service Class Application Information; for C-MOVE and C-GET it has no more than its first byte."""
        flags = (self.relational,) if retrieve else (self.relational, self.date_time, self.fuzzy, self.time_zone)
        return bytes(int(flag) for flag in flags)

    @classmethod
    def decode(cls, information: bytes) -> QueryOptions:
        """What a peer proposed or accepted; bytes that are not there mean no, further ones are not ours."""
        flags = [byte == 1 for byte in information[:4]]
        return cls(*flags, *([False] * (4 - len(flags))))

    def __and__(self, other: QueryOptions) -> QueryOptions:
        """What both sides have."""
        return QueryOptions(
            self.relational and other.relational,
            self.date_time and other.date_time,
            self.fuzzy and other.fuzzy,
            self.time_zone and other.time_zone,
        )
