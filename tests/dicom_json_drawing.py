"""Data sets in DICOM JSON (PS3.18 Annex F), drawn by hypothesis: nested, private, empty, with every VR."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hypothesis import strategies as st

Attributes = dict[str, dict[str, Any]]

# What XML 1.0 can carry, line ends and tabs among it.
TEXT = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
        st.sampled_from("\r\n\t&<>\"'"),
    ),
    min_size=1,
    max_size=20,
).filter(lambda text: bool(text.strip()))
NAME_GROUP = TEXT.map(lambda text: text.replace("=", "^").rstrip("^")).filter(bool)
FLOATS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["NaN", "inf", "-inf"]))
DIGITS = st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{1,6})?(e-?[0-9]{1,2})?", fullmatch=True)

# A public element for each VR.
TAGS = {
    "AE": "00080054", "AS": "00101010", "AT": "00209165", "CS": "00080060", "DA": "00080020", "DS": "00281050",
    "DT": "0008002A", "FD": "00089459", "FL": "00089459", "IS": "00200013", "LO": "00081030", "LT": "00104000",
    "OB": "00420011", "OD": "00700150", "OF": "00640009", "OL": "00660129", "OV": "00720081", "OW": "00281201",
    "PN": "00100010", "SH": "00080050", "SL": "00186020", "SQ": "00081140", "SS": "00280106", "ST": "00080081",
    "SV": "00720082", "TM": "00080030", "UC": "00080119", "UI": "00080018", "UL": "00080001", "UN": "00720068",
    "UR": "00081190", "US": "00280010", "UT": "00340005", "UV": "00720083",
}  # fmt: skip
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"), TEXT),
    **dict.fromkeys(("DS", "IS"), DIGITS),
    **dict.fromkeys(("FD", "FL"), FLOATS),
    **dict.fromkeys(("SL", "SS", "SV"), st.integers(-(2**63), 2**63 - 1)),
    **dict.fromkeys(("UL", "US", "UV"), st.integers(0, 2**64 - 1)),
    "AT": st.integers(0, 0xFFFFFFFF).map(lambda tag: f"{tag:08X}"),
    "PN": st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]), NAME_GROUP, min_size=1),
}
_BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")


def attributes(vr: str, items: st.SearchStrategy[Attributes]) -> st.SearchStrategy[dict[str, Any]]:
    """An attribute of a VR; empty ones, and empty values among others, too."""
    empty = st.just({"vr": vr})
    if vr == "SQ":
        found = st.lists(items, min_size=1, max_size=2).map(lambda value: {"vr": vr, "Value": value})
        return st.one_of(empty, found)
    bulk = st.sampled_from(["http://host/a?b=1&c=2", "bulk/7FE00010"]).map(lambda uri: {"vr": vr, "BulkDataURI": uri})
    if vr in _BINARY:
        held = st.binary(min_size=1, max_size=8).map(lambda data: b64encode(data).decode())
        inline = held.map(lambda text: {"vr": vr, "InlineBinary": text})
        return st.one_of(empty, inline, bulk)
    values = st.lists(st.one_of(st.none(), _VALUES[vr]), min_size=1, max_size=3).filter(lambda found: found != [None])
    held = values.map(lambda found: {"vr": vr, "Value": found})
    return st.one_of(empty, held) if vr == "PN" else st.one_of(empty, held, bulk)


def _data_sets(items: st.SearchStrategy[Attributes]) -> st.SearchStrategy[Attributes]:
    public = st.lists(st.sampled_from(sorted(TAGS)), max_size=5, unique_by=TAGS.__getitem__).flatmap(
        lambda vrs: st.fixed_dictionaries({TAGS[vr]: attributes(vr, items) for vr in vrs})
    )
    return st.builds(lambda first, second: dict(sorted((first | second).items())), public, _private(items))


@st.composite
def _private(draw: st.DrawFn, items: st.SearchStrategy[Attributes]) -> Attributes:
    """Private blocks from 10 on, each with a creator of its own and at least one element."""
    found: Attributes = {}
    for number, creator in enumerate(draw(st.lists(TEXT, max_size=2, unique=True)), start=0x10):
        found[f"000900{number:02X}"] = {"vr": "LO", "Value": [creator]}
        for element in sorted(draw(st.sets(st.integers(0, 0xFF), min_size=1, max_size=2))):
            vr = draw(st.sampled_from(sorted(TAGS)))
            found[f"0009{number:02X}{element:02X}"] = draw(attributes(vr, items))
    return found


DATA_SETS: st.SearchStrategy[Attributes] = st.recursive(st.just({}), _data_sets, max_leaves=4)
"""Tags ascend, as the reader has them."""
