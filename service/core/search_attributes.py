"""Attributes that somebody makes searchable: which can be, what they are called, where their values stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

from service.core.indexed_values import kind_of_vr
from service.core.search import SEARCH_KEYS, Level, SearchKey
from service.errors import BadRequest

_HEX: Final = frozenset("0123456789abcdefABCDEF")
_DEEPEST: Final = 5
# Counted or made for each answer; nothing of an instance's own.
_MADE_HERE: Final = frozenset(
    {0x00080056, 0x00080061, 0x00080062, 0x00081190, 0x00083002, *range(0x00201200, 0x0020120A)}
)


class FillState(StrEnum):
    """How far an attribute's values are gathered."""

    FILLING = "filling"
    """New instances have theirs, older ones not all."""
    READY = "ready"
    REMOVING = "removing"
    """Not searched any more, and no values of new instances are kept."""


@dataclass(frozen=True, slots=True)
class SearchAttribute:
    """An attribute that was made searchable.

    Parameters
    ----------
    key : how it is searched
    position : the last row whose values were gathered
    """

    key: SearchKey
    state: FillState
    position: int
    added_at: float
    ready_at: float | None


def attribute_path(name: str) -> tuple[int, ...]:
    """The tags of an attribute, given as keywords or eight hex digits and nested with dots; () for what is none."""
    pieces = name.split(".")
    if len(pieces) > _DEEPEST:
        return ()
    path = []
    for piece in pieces:
        tag = int(piece, 16) if len(piece) == 8 and _HEX.issuperset(piece) else tag_for_keyword(piece)
        if tag is None or not piece:  # retired attributes without a keyword have "" for one
            return ()
        path.append(int(tag))
    return tuple(path)


def path_text(path: tuple[int, ...]) -> str:
    """A path in hex digits with dots, as the index has it."""
    return ".".join(f"{tag:08X}" for tag in path)


def path_keyword(path: tuple[int, ...]) -> str:
    """A path in keywords with dots; tags that have none in hex digits."""
    return ".".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in path)


def added_key(path: tuple[int, ...], level: Level, held_at: Level) -> SearchKey:
    """The key of an attribute that was made searchable; its path was checked once."""
    kind = kind_of_vr(dictionary_VR(path[-1]).partition(" or ")[0])
    if kind is None:
        raise BadRequest(f"{path_keyword(path)} has no value that could be compared")
    source = held_at if held_at is not level else None
    several = dictionary_VM(path[-1]) != "1"
    return SearchKey(path, path_keyword(path), level, kind, source, several=several, added=True)


def new_key(name: str, level: Level | None, level_of: dict[int, Level]) -> SearchKey:
    """The key of an attribute that is to be made searchable.

    Parameters
    ----------
    level : at which it is asked for; None for the level that holds it
    level_of : the level that holds a tag, for those that studies and series keep; the others are instances' own

    Raises
    ------
    BadRequest : it is no public attribute, cannot be compared, or can be searched anyway
    """
    path = attribute_path(name)
    if not path or any(tag >> 16 & 1 for tag in path) or not all(keyword_for_tag(tag) for tag in path):
        raise BadRequest("This is no public attribute: give a keyword or eight hex digits, nested with dots")
    if path in {key.path for key in SEARCH_KEYS}:
        raise BadRequest(f"{path_keyword(path)} can be searched as it is")
    if path[0] >> 16 <= 0x0004 or path[0] in _MADE_HERE:
        raise BadRequest(f"{path_keyword(path)} is not an attribute that instances are stored with")
    if any(dictionary_VR(tag) != "SQ" for tag in path[:-1]):
        raise BadRequest(f"{path_keyword(path)}: what stands before a dot is a sequence")
    held_at = level_of.get(path[0], Level.INSTANCE)
    if level is not None and level > held_at:
        raise BadRequest(f"{path_keyword(path)} is kept at the level of the {held_at.name.lower()}, not below it")
    return added_key(path, level or held_at, held_at)
