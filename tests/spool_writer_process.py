"""Threads that put objects into a spool, as a process of its own: DIRECTORY, THREADS, OBJECTS of each.

Prints the UID of each object after its commit has returned, and the class of the error where one was refused.
"""

from __future__ import annotations

import sys
import threading
from contextlib import closing
from pathlib import Path

from service.errors import GatewayError
from tests.spooling import object_header, spool_at

SIZE = 40_000


def content(uid: str) -> bytes:
    """The bytes of the object of a UID."""
    return (uid.encode() * (SIZE // len(uid) + 1))[:SIZE]


def main(directory: str, threads: int, objects: int) -> None:
    told = threading.Lock()
    with closing(spool_at(Path(directory), segment_bytes=400_000, recycled=4)) as spool:

        def put_all(thread: int) -> None:
            for number in range(1, objects + 1):
                uid = f"1.2.{thread}.{number}"
                words = f"kept {uid}"
                try:
                    writer = spool.begin(object_header(uid))
                    writer.write(content(uid))
                    writer.commit()
                except GatewayError as error:
                    words = f"refused {uid} {type(error).__name__}"
                with told:
                    sys.stdout.write(words + "\n")
                    sys.stdout.flush()

        running = [threading.Thread(target=put_all, args=(thread,)) for thread in range(1, threads + 1)]
        for one in running:
            one.start()
        for one in running:
            one.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
