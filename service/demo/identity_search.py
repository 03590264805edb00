"""Looks for planted texts in everything that is served or stored outside what is encrypted."""

from __future__ import annotations

import mmap
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import PersonName

LOOKS = 10
SHORTEST = 5  # shorter values (sex, "HEAD") stand in data of others as well
IDENTIFYING = ("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber", "ReferringPhysicianName")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def tokens_left(tokens: Sequence[str], served: Iterable[bytes], directory: Path) -> list[str]:
    """Those of the tokens that stand in an answer or in a file below a directory, in any usual encoding of text."""
    token_of = {form: token for token in tokens for form in encodings_of(token)}
    if not token_of:
        return []
    # One pass over the bytes for all of them; a token that stands within another is told by the longer one too.
    anywhere = re.compile(b"|".join(re.escape(form) for form in sorted(token_of, key=len, reverse=True)))
    left: set[str] = set()

    def look(content: bytes | mmap.mmap) -> None:
        for match in anywhere.finditer(content):
            left.update(token for form, token in token_of.items() if form in match[0])

    for body in served:
        look(body)
    for _ in range(LOOKS):
        if _look_into_files(directory, look):
            return sorted(left)
    raise OSError(f"the files below {directory} do not come to rest")


def _look_into_files(directory: Path, look: Callable[[mmap.mmap], None]) -> bool:
    """Show every file; False where one went away meanwhile, perhaps to another name: a gateway is at work there."""
    whole = True
    for file in sorted(directory.rglob("*")):
        try:
            status = file.lstat()
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                continue
            with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                look(content)
        except (FileNotFoundError, ValueError):  # ValueError: it was cut to nothing
            whole = False
    return whole


def encodings_of(token: str) -> tuple[bytes, ...]:
    """How a text may stand in bytes: UTF-8, Latin-1, UTF-16, and as JSON escapes."""
    forms = {token.encode(), token.encode("utf-16-le"), token.encode("ascii", "backslashreplace")}
    with suppress(UnicodeEncodeError):
        forms.add(token.encode("latin-1"))
    return tuple(forms)


def tokens_of(files: Iterable[Path]) -> list[str]:
    """What identifies the patient, the study and its objects in somebody's own files."""
    tokens: set[str] = set()
    for file in files:
        try:
            header = dcmread(file, stop_before_pixels=True, specific_tags=[*IDENTIFYING, *UIDS])
        except (InvalidDicomError, OSError):
            continue
        tokens.update(_values(header))
    return sorted(token for token in tokens if len(token) >= SHORTEST)


def _values(header: Dataset) -> Iterable[str]:
    for keyword in (*IDENTIFYING, *UIDS):
        value = header.get(keyword)
        if isinstance(value, PersonName):
            # A name may be reordered or cut into its components; each must be gone.
            yield from str(value).replace("=", "^").split("^")
        elif value:
            yield str(value)
