"""Presentation states applied: what is windowed, shut, cut out, turned and drawn on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.errors import NotAcceptable
from service.web.dicomweb.cielab import rgb_of
from service.web.dicomweb.pixel_decoding import DecodedFrame
from service.web.dicomweb.presentation_state import present, references
from service.web.dicomweb.render_parameters import Viewport
from tests.unit.test_dicomweb_rendering import frame, header

GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
UID = "1.2.3"
IMAGE = header(SOPInstanceUID=UID, RescaleSlope=100, PhotometricInterpretation="MONOCHROME1")
WINDOW = {"SoftcopyVOILUTSequence": Sequence([header(WindowCenter=128, WindowWidth=256)])}
FOUR = np.arange(12, dtype="u1").reshape(3, 4) * 20


def state(**values: Any) -> Dataset:
    return header(**({"SOPClassUID": GSPS} | WINDOW | values))


def shown(pixels: np.ndarray = FOUR, viewport: Viewport | None = None, **values: Any) -> np.ndarray:
    return present(frame(pixels, bits_stored=8, signed=False), IMAGE, state(**values), 1, viewport).pixels


def of_image(uid: str, *frames: int) -> Sequence:
    item = header(ReferencedSOPInstanceUID=uid)
    if frames:
        item.ReferencedFrameNumber = list(frames)
    return Sequence([item])


def area(*corners: int) -> dict[str, Sequence]:
    item = header(
        DisplayedAreaTopLeftHandCorner=list(corners[:2]), DisplayedAreaBottomRightHandCorner=list(corners[2:])
    )
    return {"DisplayedAreaSelectionSequence": Sequence([item])}


def test_state_s_own_transformations_take_the_place_of_the_image_s() -> None:
    assert np.abs(shown().astype(int) - FOUR).max() <= 1  # neither its rescale slope nor its MONOCHROME1
    assert np.abs(shown(RescaleSlope=2, RescaleIntercept=0).astype(int) - np.clip(FOUR * 2.0, 0, 255)).max() <= 1


def test_window_is_that_of_the_image() -> None:
    other = header(WindowCenter=0, WindowWidth=1, ReferencedImageSequence=of_image("1.2.9"))
    wrong_frame = header(WindowCenter=0, WindowWidth=1, ReferencedImageSequence=of_image(UID, 2, 3))
    own = header(WindowCenter=1000, WindowWidth=1, ReferencedImageSequence=of_image(UID, 1))
    assert not shown(SoftcopyVOILUTSequence=Sequence([other, wrong_frame, own])).any()


def test_values_are_inverted_or_looked_up_at_the_end() -> None:
    assert (shown(PresentationLUTShape="INVERSE").astype(int) == 255 - shown().astype(int)).all()
    table = header(LUTDescriptor=[2, 0, 8], LUTData=[255, 0])
    looked_up = shown(PresentationLUTSequence=Sequence([table]))
    assert set(looked_up.ravel().tolist()) == {0, 255}
    assert looked_up[0, 0] == 255


@pytest.mark.parametrize(
    ("turn", "corner"),
    [
        ({}, [0, 20, 40, 60]),
        ({"ImageRotation": 90}, [160, 80, 0]),
        ({"ImageRotation": 180}, [220, 200, 180, 160]),
        ({"ImageRotation": 270}, [60, 140, 220]),
        ({"ImageHorizontalFlip": "Y"}, [60, 40, 20, 0]),
        ({"ImageRotation": 90, "ImageHorizontalFlip": "Y"}, [0, 80, 160]),
    ],
)
def test_image_is_turned_clockwise_and_then_flipped(turn: dict[str, Any], corner: list[int]) -> None:
    assert np.abs(shown(**turn)[0].astype(int) - corner).max() <= 1


def test_displayed_area_is_cut_out_and_fills_the_viewport() -> None:
    assert np.abs(shown(**area(2, 2, 3, 3)).astype(int) - FOUR[1:3, 1:3]).max() <= 1
    assert shown(viewport=Viewport(40, 40), **area(2, 2, 3, 3)).shape == (40, 40)
    assert shown(**area(-5, -5, 99, 2)).shape == (2, 4)
    with pytest.raises(NotAcceptable, match="outside"):
        shown(**area(50, 50, 60, 60))


def test_turn_by_something_else_than_quarters_is_refused() -> None:
    with pytest.raises(NotAcceptable, match="quarters"):
        shown(ImageRotation=45)


@pytest.mark.parametrize(
    ("shutter", "open_places"),
    [
        (
            {
                "ShutterShape": "RECTANGULAR",
                "ShutterLeftVerticalEdge": 2,
                "ShutterRightVerticalEdge": 5,
                "ShutterUpperHorizontalEdge": 2,
                "ShutterLowerHorizontalEdge": 5,
            },
            {(y, x) for y in (2, 3) for x in (2, 3)},
        ),
        (
            {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [4, 4], "RadiusOfCircularShutter": 1},
            {(2, 3), (3, 2), (3, 3), (3, 4), (4, 3)},
        ),
        (
            {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [2, 2, 2, 4, 4, 4, 4, 2]},
            {(y, x) for y in (1, 2, 3) for x in (1, 2, 3)},
        ),
    ],
)
def test_shutter_covers_what_lies_outside(shutter: dict[str, Any], open_places: set[tuple[int, int]]) -> None:
    drawn = shown(np.full((7, 7), 200, "u1"), ShutterPresentationValue=0, **shutter)
    assert {(int(y), int(x)) for y, x in np.argwhere(drawn)} >= open_places
    assert not drawn[6].any()
    assert not drawn[:, 6].any()


def graphic(kind: str, data: list[float], units: str = "PIXEL", **values: Any) -> dict[str, Sequence]:
    item = header(GraphicAnnotationUnits=units, GraphicType=kind, GraphicData=data, **values)
    return {"GraphicAnnotationSequence": Sequence([header(GraphicObjectSequence=Sequence([item]))])}


BLACK = np.zeros((40, 40), "u1")


@pytest.mark.parametrize(
    ("drawing", "inked", "bare"),
    [
        (graphic("POLYLINE", [5, 5, 5, 30]), (20, 5), (20, 20)),
        (graphic("POLYLINE", [0.125, 0.125, 0.125, 0.75], "DISPLAY"), (20, 5), (20, 20)),
        (graphic("POINT", [20, 10]), (10, 20), (20, 10)),
        (graphic("CIRCLE", [20, 20, 20, 30]), (20, 30), (20, 20)),
        (graphic("CIRCLE", [20, 20, 20, 30], GraphicFilled="Y"), (20, 20), (2, 2)),
        (graphic("ELLIPSE", [5, 20, 35, 20, 20, 10, 20, 30]), (10, 20), (20, 20)),
    ],
)
def test_graphics_are_drawn_where_they_belong(
    drawing: dict[str, Any], inked: tuple[int, int], bare: tuple[int, int]
) -> None:
    drawn = shown(BLACK, **drawing)
    y, x = inked
    assert drawn[y - 1 : y + 2, x - 1 : x + 2].max() == 255
    assert drawn[bare] == 0


def test_graphics_are_turned_and_enlarged_with_the_image() -> None:
    drawn = shown(BLACK, Viewport(80, 80), ImageRotation=90, **graphic("POINT", [5, 10]))
    ys, xs = np.nonzero(drawn)
    assert (abs(ys.mean() - 10), abs(xs.mean() - 60)) < (1, 1)


def test_text_is_drawn() -> None:
    text = header(UnformattedTextValue="here\r\nand", AnchorPoint=[5, 5], AnchorPointAnnotationUnits="PIXEL")
    annotation = {"GraphicAnnotationSequence": Sequence([header(TextObjectSequence=Sequence([text]))])}
    drawn = shown(BLACK, **annotation)
    assert drawn[5:35, 5:35].max() > 200
    assert not drawn[:4].any()


def overlay(bits: list[list[int]], group: int = 0x6000, **values: Any) -> Dataset:
    """A data set with an overlay, one bit after the other from the least significant on."""
    item = header(**values)
    rows, columns = len(bits), len(bits[0])
    for element, vr, value in (
        (0x0010, "US", rows),
        (0x0011, "US", columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [2, 3]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", np.packbits(np.array(bits, "u1").reshape(-1), bitorder="little").tobytes()),
    ):
        item.add_new((group, element), vr, value)
    return item


LAYER = header(GraphicLayer="MARKS", GraphicLayerOrder=2, GraphicLayerRecommendedDisplayGrayscaleValue=32768)
LAID = {(2, 4), (1, 2)}  # row and column of the bits below, whose first is at row 2 and column 3
BITS = [[1, 0, 0], [0, 0, 1]]


def overlaid(active: Dataset, image: Dataset = IMAGE, pixels: np.ndarray | None = None) -> tuple[set, tuple[str, ...]]:
    active.add_new(0x60001001, "CS", "MARKS")
    shown = present(frame(np.zeros((5, 6), "u1") if pixels is None else pixels, bits_stored=8), image, active, 1)
    return {(int(y), int(x)) for y, x in np.argwhere(shown.pixels == 128)}, shown.warnings


def test_active_overlay_of_the_state_is_drawn_in_the_ink_of_its_layer() -> None:
    active = overlay(BITS, SOPClassUID=GSPS, GraphicLayerSequence=Sequence([LAYER]), **WINDOW)
    assert overlaid(active) == (LAID, ())


def test_active_overlay_of_the_image_is_drawn_and_another_is_not() -> None:
    image = overlay(BITS, SOPInstanceUID=UID)
    image.update(overlay([[1] * 5] * 4, 0x6002))
    assert overlaid(state(GraphicLayerSequence=Sequence([LAYER])), image) == (LAID, ())


def test_overlay_in_unused_bits_is_drawn() -> None:
    image = header(SOPInstanceUID=UID)
    image.add_new(0x60000102, "US", 12)
    pixels = np.zeros((5, 6), "u2")
    pixels[2, 4] = pixels[1, 2] = 1 << 12
    assert overlaid(state(GraphicLayerSequence=Sequence([LAYER])), image, pixels) == (LAID, ())


def test_overlay_that_is_not_there_is_missed_in_words() -> None:
    drawn, warnings = overlaid(state())
    assert not drawn
    assert "lacks an overlay" in warnings[0]


def test_set_bits_of_a_bitmap_shutter_cover() -> None:
    item = overlay(BITS, 0x6004, SOPClassUID=GSPS, ShutterShape="BITMAP", ShutterOverlayGroup=0x6004, **WINDOW)
    drawn = present(frame(np.full((5, 6), 200, "u1"), bits_stored=8), IMAGE, item, 1).pixels
    assert {(int(y), int(x)) for y, x in np.argwhere(drawn == 0)} == LAID
    with pytest.raises(NotAcceptable, match="bitmap"):
        shown(ShutterShape="BITMAP", ShutterOverlayGroup=0x6004)


def test_layers_lie_over_each_other_in_their_order() -> None:
    layers = [header(GraphicLayer="TOP", GraphicLayerOrder=2, GraphicLayerRecommendedDisplayGrayscaleValue=0)]
    drawings = [graphic(kind, [20, 10])["GraphicAnnotationSequence"][0] for kind in ("POINT", "POINT")]
    drawings[0].GraphicLayer = "TOP"
    annotations = {"GraphicAnnotationSequence": Sequence(drawings)}
    assert shown(BLACK, **annotations)[10, 20] == 255
    assert shown(BLACK, GraphicLayerSequence=Sequence(layers), **annotations)[10, 20] == 0


def test_pseudo_color_state_gives_its_palette() -> None:
    tables: dict[str, Any] = {}
    for name, entries in (("Red", [0, 255]), ("Green", [10, 20]), ("Blue", [255, 0])):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 8]
        tables[f"{name}PaletteColorLookupTableData"] = bytes(entries)
    item = state(**tables)
    item.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.3"
    for name in ("Red", "Green", "Blue"):
        item[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
    drawn = present(frame(np.array([[0, 255]], "u1"), bits_stored=8), IMAGE, item, 1).pixels
    assert drawn.tolist() == [[[0, 10, 255], [255, 20, 0]]]


@pytest.mark.parametrize(
    ("encoded", "colour"),
    [
        ((65535, 32896, 32896), (255, 255, 255)),
        ((0, 32896, 32896), (0, 0, 0)),
        ((35578, 53655, 50857), (255, 0, 0)),  # L* 54.29, a* 80.8, b* 69.9
    ],
)
def test_recommended_colours_are_those_of_cielab(encoded: tuple[int, ...], colour: tuple[int, ...]) -> None:
    assert np.abs(np.array(rgb_of(encoded)) - colour).max() <= 2


def test_pixels_that_are_not_square_are_stretched() -> None:
    tall = area(1, 1, 4, 3)
    tall["DisplayedAreaSelectionSequence"][0].PresentationPixelAspectRatio = [2, 1]
    assert shown(**tall).shape == (6, 4)
    assert shown(ImageRotation=90, **tall).shape == (4, 6)
    assert shown(viewport=Viewport(100, 60), **tall).shape == (60, 40)


def test_colour_does_not_fit_a_grayscale_state() -> None:
    pixels = np.zeros((2, 2, 3), "u1")
    coloured = DecodedFrame(pixels, frame(pixels, samples=3, photometric="RGB").format)
    with pytest.raises(NotAcceptable, match="grayscale"):
        present(coloured, IMAGE, state(), 1)
    with pytest.raises(NotAcceptable, match="in colour"):
        present(frame(FOUR), IMAGE, header(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.2"), 1)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"MaskSubtractionSequence": Sequence([Dataset()])}, "mask"),
        ({"ShutterShape": "OVAL"}, "shape"),
        (graphic("POINT", [1, 1], "MATRIX"), "matrix"),
        (graphic("POLYLINE", [1.0] * ((1 << 18) + 2)), "numbers"),
        ({"DisplayedAreaSelectionSequence": Sequence([header(PixelOriginInterpretation="VOLUME")])}, "volume"),
    ],
)
def test_what_is_not_drawn_is_refused_in_words(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(NotAcceptable, match=words):
        shown(**attributes)


def test_broken_state_is_refused_in_words() -> None:
    with pytest.raises(NotAcceptable, match="cannot be read"):
        shown(DisplayedAreaSelectionSequence=Sequence([header(PixelOriginInterpretation="FRAME")]))


def test_images_of_a_state_are_listed() -> None:
    series = header(SeriesInstanceUID="1.2", ReferencedImageSequence=of_image(UID, 2, 5))
    (reference,) = references(header(ReferencedSeriesSequence=Sequence([series])))
    assert (reference.series_uid, reference.sop_instance_uid, reference.frames) == ("1.2", UID, (2, 5))
