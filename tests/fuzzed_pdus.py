"""PDUs that were valid until something was done to them: drawn from a seed, so that what was found comes again.

No object among them is ever whole: each data set lacks its last fragment, and its bytes are zeros, so that no piece of
it can be taken for the end of one (PS3.8 E.2). What a node keeps of them is therefore a fault of the node.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Final

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    AFFECTED_SOP_INSTANCE_UID,
    C_ECHO_RQ,
    C_STORE_RQ,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    MESSAGE_ID,
    NO_DATA_SET,
    PRIORITY,
    encode_command_set,
)
from dicom_nodes.storage_classes import VERIFICATION
from tests.raw_peer import CT, HEAD, P_DATA_TF, associate_rq

COMMAND, LAST = 1, 2  # PS3.8 E.2
CT_CONTEXT, ECHO_CONTEXT = 1, 3
_PDV: Final = struct.Struct(">LBB")
_ELEMENT: Final = struct.Struct("<HHL")
_LENGTHS: Final = (0, 1, 2, 3, 5, 0x7FFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    """One item of a P-DATA-TF."""
    return _PDV.pack(len(data) + 2, context_id, control) + data


def p_data(*items: bytes) -> bytes:
    """A P-DATA-TF of these items."""
    body = b"".join(items)
    return HEAD.pack(P_DATA_TF, len(body)) + body


def store_command(**also: int) -> bytes:
    """The command set of a C-STORE-RQ; ``also`` overrides its numbers by ``field``, ``number`` and ``data``."""
    return encode_command_set(
        {
            AFFECTED_SOP_CLASS_UID: CT,
            COMMAND_FIELD: also.get("field", C_STORE_RQ),
            MESSAGE_ID: also.get("number", 1),
            PRIORITY: 0,
            DATA_SET_TYPE: also.get("data", DATA_SET_PRESENT),
            AFFECTED_SOP_INSTANCE_UID: "1.2.3.4",
        }
    )


def echo_command(field: int = C_ECHO_RQ) -> bytes:
    """The command set of a C-ECHO-RQ, or of a message that looks like one."""
    return encode_command_set(
        {AFFECTED_SOP_CLASS_UID: VERIFICATION, COMMAND_FIELD: field, MESSAGE_ID: 2, DATA_SET_TYPE: NO_DATA_SET}
    )


# --- those that an association may survive ---------------------------------------------------------------------------


def unknown_command(draw: random.Random) -> bytes:
    """A command that nobody offers in this context, in the right form."""
    field = draw.choice([0x0020, 0x0021, 0x0010, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, draw.randrange(0x10000)])
    return p_data(pdv(ECHO_CONTEXT, COMMAND | LAST, echo_command(field)))


def scattered_command(draw: random.Random) -> bytes:
    """A C-ECHO in fragments of odd sizes, some of them empty, over several items and PDUs."""
    command, items = echo_command(), []
    while command:
        size = draw.choice([0, 1, 2, 7, 13, len(command)])
        items.append(pdv(ECHO_CONTEXT, COMMAND, command[:size]))
        command = command[size:]
    items.append(pdv(ECHO_CONTEXT, COMMAND | LAST, b""))
    if draw.random() < 0.5:
        return p_data(*items)
    return b"".join(p_data(item) for item in items)


def odd_elements(draw: random.Random) -> bytes:
    """A C-ECHO with elements that do not belong there, or with one of its own missing, doubled or in another form."""
    elements = [
        (0x0002, VERIFICATION.encode() + b"\0"),
        (0x0100, struct.pack("<H", C_ECHO_RQ)),
        (0x0110, struct.pack("<H", 2)),
        (0x0800, struct.pack("<H", NO_DATA_SET)),
    ]
    which = draw.randrange(len(elements))
    match draw.randrange(4):
        case 0:
            elements.append((draw.randrange(0x0900, 0x5000), draw.randbytes(draw.randrange(0, 40, 2))))
        case 1:
            del elements[which]
        case 2:
            elements.insert(which, elements[which])
        case _:
            elements[which] = (elements[which][0], draw.randbytes(draw.randrange(0, 70)))
    body = b"".join(_ELEMENT.pack(0, number, len(value)) + value for number, value in elements)
    length = len(body) if draw.random() < 0.7 else draw.choice(_LENGTHS)
    command = _ELEMENT.pack(0, 0, 4) + struct.pack("<L", length) + body
    return p_data(pdv(ECHO_CONTEXT, COMMAND | LAST, command))


# --- those that end it -----------------------------------------------------------------------------------------------


def unfinished_store(draw: random.Random, **also: int) -> list[bytes]:
    """The PDUs of a C-STORE up to its last fragment, which does not come."""
    pdus = [p_data(pdv(CT_CONTEXT, COMMAND | LAST, store_command(**also)))]
    return pdus + [p_data(pdv(CT_CONTEXT, 0, bytes(draw.randrange(900)))) for _ in range(draw.randrange(3))]


def wrong_type(draw: random.Random) -> bytes:
    """A PDU under the type of another, or of none."""
    pdus = unfinished_store(draw)
    which = draw.randrange(len(pdus))
    kind = draw.choice([0, 1, 2, 3, 5, 6, 7, 8, draw.randrange(9, 256)])
    pdus[which] = bytes((kind,)) + pdus[which][1:]
    return b"".join(pdus)


def wrong_length(draw: random.Random) -> bytes:
    """A PDU that says it is longer or shorter than it is."""
    pdus = unfinished_store(draw)
    which = draw.randrange(len(pdus))
    length = draw.choice([*_LENGTHS, max(0, len(pdus[which]) - HEAD.size + draw.randrange(-8, 9))])
    pdus[which] = HEAD.pack(P_DATA_TF, length) + pdus[which][HEAD.size :]
    return b"".join(pdus)


def wrong_item(draw: random.Random) -> bytes:
    """An item of the wrong length, in a context that was not agreed on, or a command fragment where none belongs."""
    match draw.randrange(4):
        case 0:
            command = store_command()
            return p_data(_PDV.pack(draw.choice(_LENGTHS), CT_CONTEXT, COMMAND | LAST) + command)
        case 1:
            return p_data(pdv(draw.choice([0, 2, 5, 255]), draw.randrange(4), store_command()))
        case 2:
            return b"".join(unfinished_store(draw)) + p_data(pdv(CT_CONTEXT, COMMAND, store_command()))
        case _:
            return p_data(pdv(CT_CONTEXT, 0, bytes(draw.randrange(50))))


def wrong_command(draw: random.Random) -> bytes:
    """A C-STORE whose command set says something else, or has changed bits."""
    if draw.random() < 0.4:
        field, number = draw.randrange(0x10000), draw.randrange(0x10000)
        return b"".join(unfinished_store(draw, field=field, number=number))
    command = bytearray(store_command())
    for _ in range(draw.randrange(1, 5)):
        command[draw.randrange(len(command))] ^= 1 << draw.randrange(8)
    return p_data(pdv(CT_CONTEXT, COMMAND | LAST, bytes(command)))


def cut_short(draw: random.Random) -> bytes:
    """A C-STORE that has lost some bytes in the middle, or got some more."""
    whole = b"".join(unfinished_store(draw))
    at, count = draw.randrange(len(whole)), draw.randrange(1, 20)
    return whole[:at] + (whole[at + count :] if draw.random() < 0.5 else bytes(count) + whole[at:])


# --- before there is one ---------------------------------------------------------------------------------------------


def spoiled_request(draw: random.Random) -> bytes:
    """An A-ASSOCIATE-RQ with changed bytes, another length, an item doubled, or the end missing."""
    request = bytearray(associate_rq())
    match draw.randrange(4):
        case 0:
            for _ in range(draw.randrange(1, 9)):
                request[draw.randrange(len(request))] = draw.randrange(256)
        case 1:
            request[2:6] = struct.pack(">L", draw.choice([*_LENGTHS, draw.randrange(len(request))]))
        case 2:
            at = draw.randrange(74, len(request))  # the items begin there (PS3.8 Table 9-11)
            request[at:at] = request[74:at]
            request[2:6] = struct.pack(">L", len(request) - HEAD.size)
        case _:
            del request[draw.randrange(1, len(request)) :]
    return bytes(request)


SURVIVED: Final[tuple[Callable[[random.Random], bytes], ...]] = (unknown_command, scattered_command, odd_elements)
DEADLY: Final[tuple[Callable[[random.Random], bytes], ...]] = (
    wrong_type,
    wrong_length,
    wrong_item,
    wrong_command,
    cut_short,
)


def fuzzed(draw: random.Random) -> tuple[bytes, bool]:
    """What is sent on an open association, one message or a piece of one, and whether an association may survive it."""
    survived = draw.random() < 0.6
    return draw.choice(SURVIVED if survived else DEADLY)(draw), survived
