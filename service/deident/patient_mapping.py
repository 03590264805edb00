"""The file in which a project's lead says which identifiers are the same person's, and the persons that follow."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.deident.pseudonyms import PatientIdentity
from service.errors import BadRequest

COLUMNS = ("id", "issuer", "id_of", "issuer_of")
REQUIRED = ("id", "id_of")
LARGEST_BYTES = 64 * 1024 * 1024
LONGEST = 64
"""Characters of an LO (PS3.5 6.2)."""


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One line: an identifier, and the one that it is the same person's as."""

    line: int
    member: PatientIdentity
    of: PatientIdentity


def mapping_rows(content: bytes) -> list[MappingRow]:
    """Read a CSV file with the columns ``id``, ``issuer``, ``id_of``, ``issuer_of``; the issuers may be absent.

    Parameters
    ----------
    content : UTF-8, columns parted by commas or semicolons

    Raises
    ------
    BadRequest : names the line and what is wrong with it, never a value
    """
    if len(content) > LARGEST_BYTES:
        raise BadRequest(f"the file is larger than {LARGEST_BYTES >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest("the file is not in UTF-8") from error
    head = text.split("\n", 1)[0]
    delimiter = ";" if ";" in head and "," not in head else ","
    reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_columns(columns)
        rows = [_row(reader.line_num, columns, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise BadRequest(f"line {reader.line_num}: this is no CSV ({error})") from error
    if not rows:
        raise BadRequest("the file names no identifier")
    return rows


def _check_columns(columns: list[str]) -> None:
    for name in REQUIRED:
        if name not in columns:
            raise BadRequest(f"line 1: there is no column {name} (there may be {', '.join(COLUMNS)})")
    for name in columns:
        if name not in COLUMNS:
            raise BadRequest(f"line 1: a column is none of {', '.join(COLUMNS)}")
    if len(set(columns)) != len(columns):
        raise BadRequest("line 1: a column stands twice")


def _row(line: int, columns: list[str], cells: list[str]) -> MappingRow:
    if len(cells) != len(columns):
        raise BadRequest(f"line {line}: {len(cells)} values for {len(columns)} columns")
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    for name, value in values.items():
        if len(value) > LONGEST or "\\" in value or not value.isprintable():
            raise BadRequest(f"line {line}: {name} is not a value of Patient ID or its issuer (PS3.5 6.2, LO)")
        if name in REQUIRED and not value:
            raise BadRequest(f"line {line}: {name} is empty")
    member = PatientIdentity(values["id"], values.get("issuer", ""))
    of = PatientIdentity(values["id_of"], values.get("issuer_of", ""))
    if member == of:
        raise BadRequest(f"line {line}: an identifier is said to be itself")
    return MappingRow(line, member, of)


def persons_of(pairs: Iterable[tuple[PatientIdentity, PatientIdentity]]) -> Iterator[tuple[PatientIdentity, ...]]:
    """Yield each person's identities, those that others were said to be first, in the order of their naming."""
    leader: dict[PatientIdentity, PatientIdentity] = {}
    weight: dict[PatientIdentity, int] = {}

    def find(identity: PatientIdentity) -> PatientIdentity:
        leader.setdefault(identity, identity)
        while leader[identity] != identity:
            leader[identity] = leader[leader[identity]]
            identity = leader[identity]
        return identity

    for member, of in pairs:
        one, other = find(of), find(member)
        weight[member] = weight.get(member, 0) + 1
        if one != other:
            leader[other] = one
    groups: dict[PatientIdentity, list[PatientIdentity]] = {}
    for identity in list(leader):
        groups.setdefault(find(identity), []).append(identity)
    for group in groups.values():
        yield tuple(sorted(group, key=lambda identity: weight.get(identity, 0) > 0))
