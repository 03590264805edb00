"""What a cleaned object says about its cleaning: only what was done (PS3.15 E.3, PS3.3 C.12.1.1.5)."""

from __future__ import annotations

from functools import lru_cache

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from service import __version__
from service.deident.dummies import code_item, encoded_item
from service.deident.element_values import Encoding, ascii_text, raw_element
from service.deident.options import BASIC_PROFILE, OPTION_CODES, PIXEL_OPTIONS
from service.deident.pixel_look import PixelLook
from service.deident.profile import Profile
from service.deident.sequence_items import items_of

METHOD_CODES = 0x00120064
BURNED_IN = 0x00280301
RECOGNIZABLE_FEATURES = 0x00280302
DE_IDENTIFYING_EQUIPMENT = ("109104", "DCM", "De-identifying Equipment")
FACES_REMOVED = "Faces removed by a program"
DEFINED_CODES = frozenset({BASIC_PROFILE[0], *(code for code, _ in OPTION_CODES.values())})


class Stamps:
    """The elements that say what one profile did.

    Parameters
    ----------
    profile : the options that it applied
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._made = lru_cache(maxsize=32)(self._make)

    def put(
        self,
        header: Dataset,
        clean: Dataset,
        encoding: Encoding,
        *,
        look: PixelLook = PixelLook.NONE,
        faces_removed: bool = False,
    ) -> None:
        """Stamp a cleaned data set; codes of the standard that the header already carried stay.

        To stamp what was done to the pixels later on, call it again with the stamped data set as ``header``.

        Parameters
        ----------
        look : who looked at the pixels, in which no text is left (PS3.15 E.3.1): 113101, Burned In Annotation NO
        faces_removed : recognisable visual features were removed from them (PS3.15 E.3.2): 113102, (0028,0302) NO
        """
        for element in self._made(encoding, earlier_codes(header), look, faces_removed):
            clean[element.tag] = element

    def _make(
        self, encoding: Encoding, earlier: tuple[tuple[str, str], ...], look: PixelLook, faces_removed: bool
    ) -> list[RawDataElement]:
        applied = self._profile.applied_codes()
        done = [option for option, is_done in zip(PIXEL_OPTIONS, (look, faces_removed), strict=True) if is_done]
        applied = sorted([*applied, *(OPTION_CODES[option] for option in done)])
        flags = {BURNED_IN: look, RECOGNIZABLE_FEATURES: faces_removed}
        codes = [*earlier, *(code for code in applied if code[0] not in {value for value, _ in earlier})]
        items = b"".join(code_item(value, "DCM", meaning, encoding) for value, meaning in codes)
        method = f"Annogate, profile {self._profile.name}"[:64].encode("ascii", "replace")
        purpose = code_item(*DE_IDENTIFYING_EQUIPMENT, encoding)
        told = ". ".join(filter(None, (str(look), FACES_REMOVED if faces_removed else "")))
        equipment = encoded_item(
            [
                (0x00080070, "LO", b"Annogate"),
                (0x00081090, "LO", b"Annogate"),
                (0x00181020, "LO", __version__.encode("ascii")),
                *([(0x0018A003, "ST", told.encode("ascii"))] if told else ()),
                (0x0040A170, "SQ", purpose),
            ],
            encoding,
        )
        return [
            raw_element(0x00120062, "CS", b"YES", encoding),
            raw_element(0x00120063, "LO", method, encoding),
            raw_element(METHOD_CODES, "SQ", items, encoding),
            raw_element(0x0018A001, "SQ", equipment, encoding),
            *(raw_element(tag, "CS", b"NO", encoding) for tag, is_done in flags.items() if is_done),
            raw_element(0x00280303, "CS", self._profile.temporal_information.encode("ascii"), encoding),
        ]


def earlier_codes(header: Dataset) -> tuple[tuple[str, str], ...]:
    """Return the codes of CID 7050 that an already de-identified object carries, with the standard's meanings."""
    meanings = dict([BASIC_PROFILE, *OPTION_CODES.values()])
    found = []
    for item in items_of(header, METHOD_CODES):
        code = item.get_item(0x00080100, keep_deferred=True)
        value = "" if code is None else ascii_text(code)
        if value in DEFINED_CODES and (value, meanings[value]) not in found:
            found.append((value, meanings[value]))
    return tuple(found)
