"""Words burned into a rendered image: who it shows, how it was made (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from service.web.dicomweb.render_parameters import RenderRequest, Window

_SMALLEST_FONT: Final = 9
_LARGEST_FONT: Final = 28
_LINES_A_HEIGHT: Final = 32
_LONGEST_LINE: Final = 64

# What the technique of each image says, in the order of reading; the unit is that of the attribute (PS3.3 C.8).
_TECHNIQUE: Final = (
    ("SeriesDescription", "", ""),
    ("BodyPartExamined", "", ""),
    ("ViewPosition", "", ""),
    ("SliceThickness", "", " mm"),
    ("SliceLocation", "at ", " mm"),
    ("KVP", "", " kV"),
    ("XRayTubeCurrent", "", " mA"),
    ("Exposure", "", " mAs"),
    ("ConvolutionKernel", "", ""),
    ("RepetitionTime", "TR ", " ms"),
    ("EchoTime", "TE ", " ms"),
    ("FlipAngle", "FA ", "°"),
)


@dataclass(frozen=True, slots=True)
class Label:
    """Lines for one corner; ``bottom`` for the lower left, else the upper left."""

    lines: tuple[str, ...]
    bottom: bool


def labels_of(header: Dataset, wanted: RenderRequest, number: int, frames: int) -> list[Label]:
    """What the caller wants burned in, as the object says it.

    Parameters
    ----------
    number : of the frame, from 1
    frames : how many there are
    """
    makers: dict[str, Callable[[], tuple[str, ...]]] = {
        "patient": lambda: tuple(_patient(header)),
        "technique": lambda: tuple(_technique(header, wanted.window, number, frames)),
    }
    return [Label(makers[word](), bottom=word == "technique") for word in wanted.annotations]


def burn_in(image: Image.Image, labels: Sequence[Label]) -> Image.Image:
    """The image with each label in its corner, white with a black edge."""
    size = min(max(image.height // _LINES_A_HEIGHT, _SMALLEST_FONT), _LARGEST_FONT)
    font = ImageFont.load_default(size)
    drawing = ImageDraw.Draw(image)
    white, black = _inks(image)
    step, margin = size + size // 4, size // 3
    for label in labels:
        top = image.height - margin - step * len(label.lines) if label.bottom else margin
        for index, line in enumerate(label.lines):
            place = (margin, top + index * step)
            drawing.text(place, line, fill=white, font=font, stroke_width=1, stroke_fill=black)
    return image


def _inks(image: Image.Image) -> tuple[Any, Any]:
    return (255, 0) if image.mode == "L" else ((255, 255, 255), (0, 0, 0))


def _patient(header: Dataset) -> Iterator[str]:
    name = header.get("PatientName")
    if name:
        yield _line(str(name).split("=", maxsplit=1)[0].replace("^", " "))
    if header.get("PatientID"):
        yield _line(f"ID {header.PatientID}")
    born, sex = str(header.get("PatientBirthDate") or ""), str(header.get("PatientSex") or "")
    if born or sex:
        yield _line(" ".join(word for word in (f"* {_date(born)}" if born else "", sex) if word))


def _technique(header: Dataset, window: Window | None, number: int, frames: int) -> Iterator[str]:
    modality, date = str(header.get("Modality") or ""), _date(str(header.get("StudyDate") or ""))
    yield _line(" ".join(word for word in (modality, date) if word))
    for keyword, before, after in _TECHNIQUE:
        value = header.get(keyword)
        if value not in (None, ""):
            yield _line(f"{before}{value}{after}")
    place = f"series {header.get('SeriesNumber') or '?'} image {header.get('InstanceNumber') or '?'}"
    yield _line(f"{place} frame {number}/{frames}" if frames > 1 else place)
    if window is not None:
        yield f"C {window.center:g} W {window.width:g}"


def _line(text: str) -> str:
    """One line that can be drawn: the font knows Latin letters only, and draws a box for others."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_LINE]


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) >= 8 and text[:8].isdigit() else text
