"""One match as the identifier of a C-FIND response (PS3.4 C.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_nodes.identifier import UNICODE, encode_identifier
from service.core.archive_query import QueryLevel
from service.core.search import Attributes
from service.dimse.query_keys import UNIQUE_KEYS


class AnswerWriter:
    """Writes the answers to one query.

    Parameters
    ----------
    wanted : the keys that were asked for; those without a value come back empty
    retrieve_ae_title : where what was found can be fetched from, by C-MOVE or C-GET
    character_set : Specific Character Set of the query, in which the caller reads; "" for none
    """

    def __init__(
        self,
        level: QueryLevel,
        wanted: Sequence[DataElement],
        retrieve_ae_title: str,
        character_set: str | Sequence[str],
        transfer_syntax_uid: str,
    ) -> None:
        self._level = level
        self._wanted = wanted
        self._retrieve_ae_title = retrieve_ae_title
        self._character_set = character_set
        self._transfer_syntax_uid = transfer_syntax_uid

    @property
    def tags(self) -> frozenset[str]:
        """What has to be known of each match."""
        return frozenset(f"{int(element.tag):08X}" for element in self._wanted)

    def write(self, attributes: Attributes) -> bytes:
        """One answer, encoded."""
        answer = Dataset()
        for element in self._wanted:
            answer.add(_element(element, attributes))
        for level, tag in UNIQUE_KEYS.items():
            key = f"{tag:08X}"
            if level <= self._level and tag not in answer and key in attributes:
                answer.add(DataElement.from_json(Dataset, key, **_json(attributes[key])))
        answer.QueryRetrieveLevel = self._level.name
        answer.RetrieveAETitle = self._retrieve_ae_title
        answer.InstanceAvailability = "ONLINE"
        if character_set := self._fitting(answer):
            answer.SpecificCharacterSet = character_set
        return encode_identifier(answer, self._transfer_syntax_uid)

    def _fitting(self, answer: Dataset) -> str | Sequence[str]:
        """The caller's own character set where it has every letter, Unicode where it has not, none where none is."""
        texts = [str(element.value) for element in answer.iterall() if element.VR != "SQ"]
        if all(text.isascii() for text in texts):
            return ""
        # Code extensions are left to those who need them: a single set, or Unicode.
        if isinstance(self._character_set, str) and self._character_set:
            encoding = convert_encodings(self._character_set)[0]
            if _fits(texts, encoding):
                return self._character_set
        return UNICODE


def _fits(texts: Sequence[str], encoding: str) -> bool:
    try:
        for text in texts:
            text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _element(asked: DataElement, attributes: Attributes) -> DataElement:
    tag = f"{int(asked.tag):08X}"
    known = attributes.get(tag)
    try:
        element = None if known is None else DataElement.from_json(Dataset, tag, **_json(known))
    except (ValueError, TypeError, KeyError):
        # A value that does not fit its VR must not hide the match.
        element = None
    if element is None:
        return DataElement(asked.tag, asked.VR, [] if asked.VR == "SQ" else None)
    if element.VR == "SQ" and asked.VR == "SQ" and asked.value and len(asked.value[0]):
        inner = {nested.tag for nested in asked.value[0]}
        for item in element.value:
            for other in [nested.tag for nested in item if nested.tag not in inner]:
                del item[other]
    return element


def _json(element: dict[str, Any]) -> dict[str, Any]:
    if "Value" in element:
        return {"vr": element["vr"], "value": element["Value"], "value_key": "Value"}
    return {"vr": element["vr"], "value": "", "value_key": None}
