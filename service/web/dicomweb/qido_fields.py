"""Which attributes the results of a search have (PS3.18 10.6.3.3, Tables 10.6.3-3 to -5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pydicom.uid import UID

from service.core.search import Attributes, Found, Level, SearchQuery
from service.web.dicomweb.media_types import EXPLICIT_VR_LITTLE_ENDIAN, is_video
from service.web.dicomweb.pixel_decoding import can_decode
from service.web.dicomweb.qido_parameters import Path, SearchRequest

# Attributes that every result of a level has, empty where nothing is known (PS3.18 Tables 10.6.3-3 to -5).
_REQUIRED: Final = {
    Level.STUDY: {
        "00080020": "DA",
        "00080030": "TM",
        "00080050": "SH",
        "00080061": "CS",
        "00080090": "PN",
        "00100010": "PN",
        "00100020": "LO",
        "00100030": "DA",
        "00100040": "CS",
        "0020000D": "UI",
        "00200010": "SH",
        "00201206": "IS",
        "00201208": "IS",
    },
    Level.SERIES: {"00080060": "CS", "0020000E": "UI", "00200011": "IS", "00201209": "IS"},
    Level.INSTANCE: {"00080016": "UI", "00080018": "UI", "00200013": "IS"},
}
# Attributes that come along when they are known; the descriptions are what every list shows.
_WHEN_KNOWN: Final = {
    Level.STUDY: ("00080201", "00081030"),
    Level.SERIES: ("00080201", "0008103E", "00400244", "00400245", "00400275"),
    Level.INSTANCE: ("00080201", "00083002", "00280008", "00280010", "00280011", "00280100"),
}
_STUDY_COUNTS: Final = frozenset({"00080061", "00201206", "00201208"})
_SERIES_COUNTS: Final = frozenset({"00201209"})
# What a result knows without reading the metadata of its instance.
_INDEXED: Final = frozenset(
    {tag for level in _REQUIRED.values() for tag in level} | {tag for tags in _WHEN_KNOWN.values() for tag in tags}
)
_AVAILABLE_TRANSFER_SYNTAX: Final = "00083002"
_BITS_ALLOCATED: Final = "00280100"
_RETRIEVE_URL: Final = "00081190"


class ResultFields:
    """The attributes of one search's results."""

    def __init__(self, search: SearchRequest, levels: Collection[Level]) -> None:
        self._search = search
        self._level = search.query.level
        self._required: dict[str, str] = {}
        # Tag → what of it is wanted: paths below it, or () for all of it.
        self._wanted: dict[str, set[Path]] = {}
        for level in levels:
            self._required |= _REQUIRED[level]
            for tag in (*_REQUIRED[level], *_WHEN_KNOWN[level]):
                self._wanted[tag] = {()}
        for path in search.included:
            self._wanted.setdefault(f"{path[0]:08X}", set()).add(path[1:])
        if self._level >= Level.SERIES:
            self._required["0020000D"] = "UI"
        if self._level is Level.INSTANCE:
            self._required["0020000E"] = "UI"

    @property
    def query(self) -> SearchQuery:
        """The search, with what has to be read for these attributes."""
        everything = self._search.include_all
        tags = self._wanted.keys()
        return replace(
            self._search.query,
            with_study_counts=everything or bool(tags & _STUDY_COUNTS),
            with_series_counts=everything or bool(tags & _SERIES_COUNTS),
            with_metadata=self._reads_metadata(everything),
        )

    def _reads_metadata(self, everything: bool) -> bool:
        """Whether something is wanted that only instances say.

        At a higher level that is what was made searchable there and neither studies nor series keep.
        """
        if self._level is Level.INSTANCE:
            return everything or bool(self._wanted.keys() - _INDEXED)
        return any(match.key.added and match.key.held_at > self._level for match in self._search.query.matches)

    def result(self, found: Found, root: str) -> Attributes:
        """One result as DICOM JSON, by ascending tag."""
        known = found.attributes
        attributes: dict[str, Any] = {tag: {"vr": vr} for tag, vr in self._required.items()}
        if self._search.include_all:
            attributes |= known
        else:
            attributes |= {tag: _within(known[tag], paths) for tag, paths in self._wanted.items() if tag in known}
        if _AVAILABLE_TRANSFER_SYNTAX in attributes:
            attributes[_AVAILABLE_TRANSFER_SYNTAX] = {"vr": "UI", "Value": available_syntaxes(known)}
        attributes["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
        attributes["0020000D"] = {"vr": "UI", "Value": [found.study_uid]}
        if self._level >= Level.SERIES:
            attributes["0020000E"] = {"vr": "UI", "Value": [found.series_uid]}
        if self._level in (Level.STUDY, Level.INSTANCE):
            attributes["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
        attributes[_RETRIEVE_URL] = {"vr": "UR", "Value": [self.address(found, root)]}
        return dict(sorted(attributes.items()))

    def address(self, found: Found, root: str) -> str:
        """Where a result can be retrieved."""
        url = f"{root}/studies/{found.study_uid}"
        if self._level >= Level.SERIES:
            url += f"/series/{found.series_uid}"
        if self._level is Level.INSTANCE:
            url += f"/instances/{found.sop_instance_uid}"
        return url


def available_syntaxes(known: Attributes) -> list[str]:
    """Available Transfer Syntax UID (0008,3002): as stored, and Explicit VR Little Endian where it can be made."""
    (stored,) = known[_AVAILABLE_TRANSFER_SYNTAX]["Value"]
    bits = next(iter(known.get(_BITS_ALLOCATED, {}).get("Value", ())), None)
    native = not UID(stored).is_compressed
    if stored != EXPLICIT_VR_LITTLE_ENDIAN and (native or (not is_video(stored) and can_decode(stored, bits))):
        return [stored, EXPLICIT_VR_LITTLE_ENDIAN]
    return [stored]


def _within(element: Mapping[str, Any], paths: Iterable[Path]) -> Mapping[str, Any]:
    """What is wanted of an attribute: the whole, or of a sequence's items the attributes that are named."""
    below: dict[str, set[Path]] = {}
    for path in paths:
        if not path:
            return element
        below.setdefault(f"{path[0]:08X}", set()).add(path[1:])
    if element.get("vr") != "SQ":
        return element
    items = [
        {tag: _within(item[tag], inner) for tag, inner in sorted(below.items()) if tag in item}
        for item in (item or {} for item in element.get("Value", ()))
    ]
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
