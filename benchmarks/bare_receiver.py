"""The least that can receive durably: ``python -m benchmarks.bare_receiver FOLDER``, a process for each association.

It accepts everything, looks only at the heads of PDUs to find where an object ends, writes the bytes as they came into
a file that was written full once before, syncs it (fdatasync) and answers Success. No encryption, no parsing, no index,
no limits: what a durable receiver in Python could reach at best, one write and one sync for each object.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

from dicom_nodes.command_set import (
    COMMAND_FIELD,
    DATA_SET_TYPE,
    MESSAGE_ID,
    MESSAGE_ID_RESPONDED_TO,
    NO_DATA_SET,
    RESPONSE,
    STATUS,
    decode_command_set,
    encode_command_set,
)

FILE_BYTES = 64 * 1024 * 1024
BUFFER_BYTES = 8 * 1024 * 1024
LONGEST_PDU = 128 * 1024
P_DATA_TF, RELEASE_RQ = 4, 5
HEAD = struct.Struct(">BxL")
ITEM = struct.Struct(">LBB")


def items(body: memoryview) -> list[tuple[int, memoryview]]:
    """Items of type, reserved byte and 16-bit length, as in A-ASSOCIATE PDUs (PS3.8 9.3.2)."""
    found, position = [], 0
    while position < len(body):
        kind, length = struct.unpack_from(">BxH", body, position)
        found.append((kind, body[position + 4 : position + 4 + length]))
        position += 4 + length
    return found


def item(kind: int, value: bytes) -> bytes:
    """One item of an A-ASSOCIATE PDU."""
    return struct.pack(">BxH", kind, len(value)) + value


def accept_all(request: memoryview) -> bytes:
    """An A-ASSOCIATE-AC that takes the first transfer syntax of every context."""
    answers = item(0x10, b"1.2.840.10008.3.1.1.1")
    for kind, value in items(request[74:]):
        if kind == 0x20:
            syntax = next(bytes(name) for part, name in items(value[4:]) if part == 0x40)
            answers += item(0x21, bytes((value[0], 0, 0, 0)) + item(0x40, syntax))
    user = item(0x51, struct.pack(">L", LONGEST_PDU)) + item(0x52, b"2.25.1")
    body = bytes(request[6:74]) + answers + item(0x50, user)
    return HEAD.pack(2, len(body)) + body


def answer_to(command: bytes, context_id: int) -> bytes:
    """A response of Success to a request."""
    request = decode_command_set(command)
    encoded = encode_command_set(
        {
            COMMAND_FIELD: request.command | RESPONSE,
            MESSAGE_ID_RESPONDED_TO: request.number(MESSAGE_ID),
            DATA_SET_TYPE: NO_DATA_SET,
            STATUS: 0,
        }
    )
    return HEAD.pack(P_DATA_TF, len(encoded) + 6) + ITEM.pack(len(encoded) + 2, context_id, 3) + encoded


class Connection:
    """One association from its first byte to its release."""

    def __init__(self, connection: socket.socket, file: int) -> None:
        self._connection = connection
        self._file = file
        self._offset = 0
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0

    def serve(self) -> None:
        """Take PDUs until the release."""
        position = 0
        command = b""
        while (length := self._pdu(position)) is not None:
            pdu = self._buffer[position : position + length]
            position += length
            if pdu[0] == RELEASE_RQ:
                self._connection.sendall(HEAD.pack(6, 4) + bytes(4))
                return
            if pdu[0] != P_DATA_TF:
                self._connection.sendall(accept_all(pdu))
                position = self._drop(position)
                continue
            _, context_id, control = ITEM.unpack_from(pdu, 6)
            if control & 1:
                command = bytes(pdu[12:])
            elif control & 2:
                self._keep(position)
                self._connection.sendall(answer_to(command, context_id))
                position = self._drop(position)

    def _pdu(self, position: int) -> int | None:
        """The length of the PDU at a position once all of it is here."""
        while True:
            have = self._filled - position
            if have >= 6:
                length = 6 + HEAD.unpack_from(self._buffer, position)[1]
                if have >= length:
                    return int(length)
            count = self._connection.recv_into(self._buffer[self._filled :])
            if not count:
                return None
            self._filled += count
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _keep(self, end: int) -> None:
        if self._offset + end > FILE_BYTES:
            self._offset = 0
        os.pwrite(self._file, self._buffer[:end], self._offset)
        os.fdatasync(self._file)
        self._offset += end

    def _drop(self, position: int) -> int:
        left = self._filled - position
        self._buffer[:left] = self._buffer[position : self._filled]
        self._filled = left
        return 0


def prepare(folder: Path, count: int) -> list[int]:
    """Files that are written full and synced, so that a later sync writes data only."""
    files = []
    for number in range(count):
        file = os.open(folder / f"{number}.recycled", os.O_RDWR | os.O_CREAT, 0o600)
        for offset in range(0, FILE_BYTES, BUFFER_BYTES):
            os.pwrite(file, bytes(BUFFER_BYTES), offset)
        os.fsync(file)
        files.append(file)
    return files


def main(folder: Path, count: int = 16) -> None:
    """Accept until SIGTERM."""
    folder.mkdir(parents=True)
    free = prepare(folder, count)
    busy: dict[int, int] = {}
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            while busy and (ended := os.waitpid(-1, 0 if not free else os.WNOHANG)[0]):
                free.append(busy.pop(ended))
            file = free.pop()
            child = os.fork()
            if not child:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Connection(connection, file).serve()
                os._exit(0)
            busy[child] = file
            connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
