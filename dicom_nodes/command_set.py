"""Command sets of DIMSE messages (PS3.7 6.3): a few elements in Implicit VR Little Endian.

Read by hand and not by pydicom or pynetdicom, because a request with a UID that is none must be understood far
enough to be answered.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

C_STORE_RQ: Final = 0x0001
C_STORE_RSP: Final = 0x8001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
C_ECHO_RSP: Final = 0x8030
N_EVENT_REPORT_RQ: Final = 0x0100
N_GET_RQ: Final = 0x0110
N_SET_RQ: Final = 0x0120
N_ACTION_RQ: Final = 0x0130
N_CREATE_RQ: Final = 0x0140
N_DELETE_RQ: Final = 0x0150
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000  # set in the Command Field of every response

NO_DATA_SET: Final = 0x0101
DATA_SET_PRESENT: Final = 0x0001
MEDIUM_PRIORITY: Final = 0x0000
HIGH_PRIORITY: Final = 0x0001
LOW_PRIORITY: Final = 0x0002

AFFECTED_SOP_CLASS_UID: Final = 0x0002
REQUESTED_SOP_CLASS_UID: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_RESPONDED_TO: Final = 0x0120
MOVE_DESTINATION: Final = 0x0600
PRIORITY: Final = 0x0700
DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ACTION_TYPE_ID: Final = 0x1008
REMAINING_SUB_OPERATIONS: Final = 0x1020
COMPLETED_SUB_OPERATIONS: Final = 0x1021
FAILED_SUB_OPERATIONS: Final = 0x1022
WARNING_SUB_OPERATIONS: Final = 0x1023
MOVE_ORIGINATOR_AE_TITLE: Final = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID: Final = 0x1031

_UID_ELEMENTS: Final = frozenset(
    {AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID}
)
# Offending Element (0000,0901) is the one element of VR AT here: group, then element (PS3.7 Annex E).
_TAG_ELEMENTS: Final = frozenset({OFFENDING_ELEMENT})
_PRIORITIES: Final = frozenset({MEDIUM_PRIORITY, HIGH_PRIORITY, LOW_PRIORITY})
_HEADER: Final = struct.Struct("<HHL")


class CommandSetInvalid(ValueError):
    """The bytes are no command set."""


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The elements of group 0000 by element number, undecoded."""

    elements: Mapping[int, bytes] = field(repr=False)

    def number(self, element: int, default: int = 0) -> int:
        """An element of VR US; ``default`` where it is missing or not two bytes."""
        value = self.elements.get(element, b"")
        return int.from_bytes(value, "little") if len(value) == 2 else default

    def text(self, element: int) -> str:
        """An element of VR UI, AE or LO without its padding; "" where it is missing."""
        return self.elements.get(element, b"").rstrip(b"\0 ").decode("latin-1").strip()

    @property
    def command(self) -> int:
        """Command Field (0000,0100)."""
        return self.number(COMMAND_FIELD)

    @property
    def priority(self) -> int:
        """Priority (0000,0700) (PS3.7 9.1.1.1); medium where it is missing or none that the standard knows."""
        value = self.number(PRIORITY)
        return value if value in _PRIORITIES else MEDIUM_PRIORITY

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows: Command Data Set Type (0000,0800) is not 0101H."""
        return self.number(DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET


def decode_command_set(data: bytes) -> CommandSet:
    """Read a command set.

    Raises
    ------
    CommandSetInvalid : an element is cut, or stands outside group 0000
    """
    elements: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        if offset + _HEADER.size > len(data):
            raise CommandSetInvalid("the command set is cut in the middle of a tag")
        group, element, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if group != 0 and elements.get(COMMAND_FIELD, b"")[1:2] == b"\x80":
            # Orthanc puts the failed UIDs of a C-GET behind the command set of its response.
            break
        if group != 0 or offset + length > len(data):
            raise CommandSetInvalid(f"element ({group:04X},{element:04X}) does not belong here or is cut")
        elements[element] = data[offset : offset + length]
        offset += length
    return CommandSet(elements)


def encode_command_set(elements: Mapping[int, int | str]) -> bytes:
    """Write a command set with its Command Group Length (0000,0000) first, in tag order."""
    body = b"".join(_encode(element, value) for element, value in sorted(elements.items()))
    return _HEADER.pack(0, 0, 4) + struct.pack("<L", len(body)) + body


def _encode(element: int, value: int | str) -> bytes:
    if isinstance(value, int) and element in _TAG_ELEMENTS:
        data = struct.pack("<HH", value >> 16, value & 0xFFFF)
    elif isinstance(value, int):
        data = struct.pack("<H", value)
    else:
        data = value.encode("latin-1", "replace")
        if len(data) % 2:
            data += b"\0" if element in _UID_ELEMENTS else b" "
    return _HEADER.pack(0, element, len(data)) + data
