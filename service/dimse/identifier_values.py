"""The values of a query's keys, checked: what each may ask for (PS3.4 C.2.2.2)."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_nodes.errors import GatewayError
from dicom_nodes.query_model import IDENTIFIER_MISMATCH
from service.core.matching import AttributeMatch, ItemMatch, ValueMatch, kind_of
from service.core.search import Match, MatchKind, SearchKey
from service.dimse.query_keys import name_of

_MOST_STARS: Final = 8
_MOST_VALUES: Final = 30_000
_DATE: Final = re.compile(r"\d{8}")
_TIME: Final = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_OLD_SEPARATORS: Final = {MatchKind.DATE: ".", MatchKind.TIME: ":"}
_DECIMAL: Final = frozenset({"DS", "FL", "FD"})
_UID: Final = re.compile(r"[0-9.]{1,64}")


class IdentifierRefused(GatewayError):
    """An identifier that does not fit its SOP class (A900); ``tag`` is the Offending Element."""

    http_status = 400
    dimse_status = IDENTIFIER_MISMATCH

    def __init__(self, tag: int, words: str) -> None:
        super().__init__(f"{name_of(tag)} {words}")
        self.tag = tag


def values_of(element: DataElement) -> tuple[str, ...]:
    """Its values as text; none for universal matching, which a single * stands for too."""
    try:
        value: Any = element.value
    except Exception as error:  # pydicom raises what it likes on values that it cannot read
        raise IdentifierRefused(int(element.tag), "cannot be read") from error
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    texts = tuple(text for single in values if single is not None and (text := str(single).strip()))
    if len(texts) > _MOST_VALUES:
        raise IdentifierRefused(int(element.tag), "has too many values: ask in parts")
    return () if all(text.strip("*") == "" for text in texts) else texts


def column_match(key: SearchKey, element: DataElement) -> Match | None:
    """A condition on what the index has a column for; None for universal matching."""
    values, is_range = _checked(int(element.tag), key.kind, values_of(element))
    return Match(key, values, is_range) if values else None


def attribute_match(element: DataElement, *, fuzzy: bool) -> AttributeMatch | None:
    """A condition on an attribute, or on the items of a sequence; None for universal matching."""
    tag = f"{int(element.tag):08X}"
    if element.VR == "SQ":
        items: list[Dataset] = list(element.value or ())
        if len(items) > 1:
            raise IdentifierRefused(int(element.tag), "has more than one item")
        inner = [attribute_match(nested, fuzzy=fuzzy) for item in items for nested in item]
        conditions = tuple(condition for condition in inner if condition is not None)
        return ItemMatch(tag, conditions) if conditions else None
    kind = kind_of(element.VR)
    values, is_range = _checked(int(element.tag), kind, values_of(element), decimal=element.VR in _DECIMAL)
    return ValueMatch(tag, kind, values, is_range, fuzzy) if values else None


def _checked(
    tag: int, kind: MatchKind, values: tuple[str, ...], *, decimal: bool = False
) -> tuple[tuple[str, ...], bool]:
    """The values in the form in which they are compared, and whether they are the ends of a range."""
    if not values:
        return (), False
    if kind in (MatchKind.DATE, MatchKind.TIME):
        if len(values) > 1:
            raise IdentifierRefused(tag, "has more than one value")
        return _moments(tag, kind, values[0])
    if kind is MatchKind.UID and not all(_UID.fullmatch(value) for value in values):
        raise IdentifierRefused(tag, "is not a list of UIDs")
    if kind is MatchKind.NUMBER and not all((_is_decimal if decimal else _is_integer)(value) for value in values):
        raise IdentifierRefused(tag, "is not a number" if decimal else "is not a whole number")
    if any(value.count("*") > _MOST_STARS for value in values):
        raise IdentifierRefused(tag, f"has more than {_MOST_STARS} wildcards")
    return values, False


def _moments(tag: int, kind: MatchKind, value: str) -> tuple[tuple[str, ...], bool]:
    """One day or time, or a range of them; also in the form of before DICOM, with points or colons."""
    ends = [end.strip() for end in value.split("-")]
    if kind is MatchKind.DATE or ":" in value:
        ends = [end.replace(_OLD_SEPARATORS[kind], "") for end in ends]
    form = _DATE if kind is MatchKind.DATE else _TIME
    if len(ends) > 2 or not any(ends) or not all(form.fullmatch(end) for end in ends if end):
        raise IdentifierRefused(tag, f"is not a {kind.value} or a range of them")
    return tuple(ends), len(ends) == 2


def _is_integer(value: str) -> bool:
    try:
        return abs(int(value)) < 2**31
    except ValueError:
        return False


def _is_decimal(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
