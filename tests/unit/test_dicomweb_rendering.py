"""Pixels as a display shows them, in the size and form that was asked for."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from service.core.pixel_format import PixelFormat
from service.errors import BadRequest, NotAcceptable
from service.web.dicomweb.burned_in import Label, labels_of
from service.web.dicomweb.colour_profile import profile_of
from service.web.dicomweb.display import displayed, windowed
from service.web.dicomweb.drawing import frame_ms
from service.web.dicomweb.media_types import parse_accept
from service.web.dicomweb.pixel_decoding import DecodedFrame
from service.web.dicomweb.render_parameters import RenderRequest, Viewport, Window, parse_rendering
from service.web.dicomweb.rendering import choose_image_type, encode_animation, encode_image
from service.web.dicomweb.report_text import as_html, as_plain_text, as_xml
from service.web.dicomweb.rgb_profile import ADOBE_RGB, profile_bytes

GREY = PixelFormat(0x7FE00010, 1, 4, 1, 1, 16, 16, True, "MONOCHROME2", 0, False)


def frame(values: list[int] | np.ndarray, dtype: str = "i2", **changes: object) -> DecodedFrame:
    pixels = np.array(values, dtype).reshape(1, -1) if isinstance(values, list) else values
    layout = replace(GREY, rows=pixels.shape[0], columns=pixels.shape[1], bits_allocated=pixels.dtype.itemsize * 8)
    return DecodedFrame(pixels, replace(layout, **({"bits_stored": layout.bits_allocated} | changes)))


def header(**values: object) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def drawn(values: list[int], window: Window | None = None, number: int = 1, **attributes: object) -> list[int]:
    return displayed(frame(values), header(**attributes), number, window)[0].tolist()


# Windows


@pytest.mark.parametrize(
    ("window", "values", "shown"),
    [
        # PS3.3 C.11.2.1.2.1, note 4: the width of 2 has one value between black and white
        (Window(2, 2), [0, 1, 2, 3], [0, 0, 255, 255]),
        (Window(128, 256), [0, 128, 255, 300], [0, 128, 255, 255]),
        (Window(100, 1), [99, 100], [0, 255]),
        (Window(50, 100, "linear-exact"), [0, 50, 100], [0, 128, 255]),
        (Window(0, 10, "sigmoid"), [-1000, 0, 1000], [0, 128, 255]),
    ],
)
def test_window_functions_are_those_of_the_standard(window: Window, values: list[int], shown: list[int]) -> None:
    assert windowed(np.array(values, float), window).tolist() == shown


@given(st.floats(-3000, 3000), st.floats(1, 5000), st.sampled_from(["linear", "linear-exact", "sigmoid"]))
def test_brighter_is_never_shown_darker(center: float, width: float, function: str) -> None:
    shown = windowed(np.linspace(-5000, 5000, 300), Window(center, width, function)).astype(int)
    assert (np.diff(shown) >= 0).all()


def test_values_are_rescaled_before_the_window() -> None:
    attributes = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 0, "WindowWidth": 200}
    assert drawn([0, 50, 100], **attributes) == [0, 128, 255]


def test_first_of_several_windows_is_used() -> None:
    assert drawn([0, 100], WindowCenter=[50, 5000], WindowWidth=[100, 10]) == [0, 255]


def test_asked_window_takes_the_place_of_the_image_s_own() -> None:
    assert drawn([0, 100], Window(5000, 10), WindowCenter=50, WindowWidth=100) == [0, 0]


def test_window_function_of_the_image_is_used() -> None:
    attributes = {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}
    assert drawn([0, 50, 100], **attributes) == [0, 128, 255]


def test_without_a_window_the_whole_range_is_shown() -> None:
    assert drawn([-10, 0, 10]) == [0, 128, 255]


def test_padding_does_not_stretch_the_range() -> None:
    assert drawn([-2000, 0, 10], PixelPaddingValue=-2000) == [0, 0, 255]


def test_image_of_one_value_can_be_drawn() -> None:
    assert len(set(drawn([7, 7, 7]))) == 1


def test_monochrome1_is_inverted() -> None:
    shown = displayed(frame([0, 100], photometric="MONOCHROME1"), header(WindowCenter=50, WindowWidth=100), 1)
    assert shown.tolist() == [[255, 0]]


def test_bits_above_bits_stored_are_not_shown() -> None:
    shown = displayed(frame([0, 0x1064], "u2", bits_stored=12, signed=False), header(), 1)
    assert shown.tolist() == displayed(frame([0, 0x64], "u2", bits_stored=12, signed=False), header(), 1).tolist()


def test_frame_s_own_functional_groups_are_used() -> None:
    def group(center: int) -> Dataset:
        return header(FrameVOILUTSequence=Sequence([header(WindowCenter=center, WindowWidth=10)]))

    rescale = Sequence([header(RescaleSlope=10, RescaleIntercept=0)])
    groups = {
        "PerFrameFunctionalGroupsSequence": Sequence([group(0), group(50)]),
        "SharedFunctionalGroupsSequence": Sequence([header(PixelValueTransformationSequence=rescale)]),
    }
    assert drawn([0, 5, 10], number=2, **groups) == [0, 142, 255]


def test_negative_values_of_fewer_bits_find_their_place_in_the_modality_table() -> None:
    """As a raw codec gives them: 12 bits in two's complement, nothing in the 4 above (PS3.5 8.1.1)."""
    table = header(ModalityLUTType="US")
    table.add_new("LUTDescriptor", "SS", [4096, -2048, 16])
    table.add_new("LUTData", "US", list(range(0, 8192, 2)))
    image = header(ModalityLUTSequence=Sequence([table]), PixelRepresentation=1)
    shown = displayed(frame([0x800, 0xFFF, 0x000, 0x7FF], bits_stored=12), image, 1, None)[0].tolist()
    assert shown == [0, 127, 128, 255]


def test_voi_table_is_used_where_there_is_no_window() -> None:
    table = header(LUTDescriptor=[3, 0, 8], LUTData=[255, 0, 128])
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    assert drawn([0, 1, 2], VOILUTSequence=Sequence([table])) == [255, 0, 128]


def test_floating_point_pixels_are_shown() -> None:
    pixels = np.array([[0.0, 0.5, np.nan, 1.0]], "f4")
    shown = displayed(
        DecodedFrame(pixels, replace(GREY, tag=0x7FE00008, bits_allocated=32, bits_stored=32)), header(), 1
    )
    assert shown.tolist() == [[0, 128, 0, 255]]


# Colour and segmentations


def colour(values: list[int], photometric: str) -> list[list[int]]:
    pixels = np.array(values, "u1").reshape(1, -1, 3)
    return displayed(frame(pixels, samples=3, photometric=photometric), header(), 1)[0].tolist()


def test_colours_are_passed_on() -> None:
    assert colour([1, 2, 3], "RGB") == [[1, 2, 3]]


def test_luminance_and_chroma_become_colours() -> None:
    assert colour([76, 85, 255], "YBR_FULL") == [[254, 0, 0]]


def test_deep_colours_are_brought_to_eight_bits() -> None:
    pixels = np.array([0, 2048, 4095], "u2").reshape(1, 1, 3)
    shown = displayed(frame(pixels, samples=3, photometric="RGB", bits_stored=12, signed=False), header(), 1)
    assert shown.tolist() == [[[0, 128, 255]]]


def test_palette_gives_its_colours() -> None:
    tables: dict[str, object] = {}
    for name, data in (("Red", b"\0\xff"), ("Green", b"\0\x80"), ("Blue", b"\xff\0")):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [2, 0, 8]
        tables[f"{name}PaletteColorLookupTableData"] = data
    palette = header(PhotometricInterpretation="PALETTE COLOR", **tables)
    for name in ("Red", "Green", "Blue"):
        palette[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
    shown = displayed(frame([0, 1], "u1", photometric="PALETTE COLOR"), palette, 1)
    assert shown.tolist() == [[[0, 0, 255], [255, 128, 0]]]


def test_palette_without_tables_is_refused() -> None:
    with pytest.raises(NotAcceptable, match="palette"):
        displayed(frame([0], "u1", photometric="PALETTE COLOR"), header(), 1)


def test_label_map_of_large_numbers_needs_no_table_of_them_all() -> None:
    pixels = np.array([[0, 4_000_000_000, 4_000_000_000, 7]], "u4")
    shown = displayed(frame(pixels, "u4"), header(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7"), 1)[0].tolist()
    assert shown[0] == [0, 0, 0]
    assert shown[1] == shown[2] != shown[3]


def test_unknown_photometric_interpretation_is_refused() -> None:
    with pytest.raises(NotAcceptable):
        displayed(frame(np.zeros((1, 1, 4), "u1"), samples=4, photometric="CMYK"), header(), 1)


def test_binary_segment_is_white_on_black() -> None:
    segment = header(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    assert displayed(frame([0, 1], "u1", bits_allocated=1), segment, 1).tolist() == [[0, 255]]


def test_fractional_segment_is_white_where_it_is_whole() -> None:
    segment = header(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", MaximumFractionalValue=100)
    assert displayed(frame([0, 50, 100], "u1"), segment, 1).tolist() == [[0, 128, 255]]


def test_each_label_has_a_colour_of_its_own_and_the_background_none() -> None:
    shown = displayed(frame([0, 1, 2, 9], "u1"), header(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7"), 1)
    colours = {tuple(pixel) for pixel in shown[0].tolist()}
    assert (len(colours), shown[0, 0].tolist()) == (4, [0, 0, 0])


# Size and form

SQUARES = np.kron(np.array([[0, 80], [160, 240]], "u1"), np.ones((8, 8), "u1"))


def image(wanted: RenderRequest, pixels: np.ndarray = SQUARES) -> Image.Image:
    return Image.open(BytesIO(encode_image(pixels, "image/png", wanted)))


@pytest.mark.parametrize(
    ("viewport", "size"),
    [
        (Viewport(32, 32), (32, 32)),
        (Viewport(32, 8), (8, 8)),
        (Viewport(4, 100), (4, 4)),
        (Viewport(10, 10, 0, 0, 16, 4), (10, 2)),
    ],
)
def test_image_fills_the_viewport_and_keeps_its_shape(viewport: Viewport, size: tuple[int, int]) -> None:
    assert image(RenderRequest(viewport=viewport)).size == size


@pytest.mark.parametrize(
    ("viewport", "corner"),
    [
        (Viewport(8, 8, 0, 0, 8, 8), 0),
        (Viewport(8, 8, 8, 0, 8, 8), 80),
        (Viewport(16, 16, 0, 0, -16, 16), 80),
        (Viewport(16, 16, 0, 0, 16, -16), 160),
        (Viewport(8, 8, 8, 8), 240),
    ],
)
def test_region_is_cut_out_and_flipped(viewport: Viewport, corner: int) -> None:
    assert image(RenderRequest(viewport=viewport)).getpixel((0, 0)) == corner


def test_region_outside_the_image_is_refused() -> None:
    with pytest.raises(BadRequest, match="outside"):
        image(RenderRequest(viewport=Viewport(8, 8, 99, 0, 8, 8)))


def test_quality_decides_the_size_of_a_jpeg() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64), "u1")
    small, large = (encode_image(noise, "image/jpeg", RenderRequest(quality=quality)) for quality in (5, 95))
    assert len(small) < len(large) / 3


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_grey_and_colour_are_written_in_each_form(media_type: str, shape: tuple[int, ...]) -> None:
    written = Image.open(BytesIO(encode_image(np.full(shape, 90, "u1"), media_type, RenderRequest())))
    assert (written.format, written.size) == (media_type.removeprefix("image/").upper(), (5, 4))


@pytest.mark.parametrize(
    ("accept", "single", "chosen"),
    [
        (None, True, ("image/jpeg", False)),
        (None, False, ("image/jpeg", True)),
        ("image/png", True, ("image/png", False)),
        ("image/*;q=0.5, image/gif", True, ("image/gif", False)),
        ("*/*, image/jpeg;q=0", True, ("image/png", False)),
        ("image/*, image/jpeg;q=0.1, image/png;q=0.9", True, ("image/gif", False)),
        ('multipart/related; type="image/png"', True, ("image/png", True)),
    ],
)
def test_form_is_chosen_by_what_is_accepted(accept: str | None, single: bool, chosen: tuple[str, bool]) -> None:
    assert choose_image_type(parse_accept(accept), single=single) == chosen


@pytest.mark.parametrize(("accept", "single"), [("image/jp2", True), ("image/jpeg", False), ("video/mp4", True)])
def test_form_that_is_not_made_is_refused_with_those_that_are(accept: str, single: bool) -> None:
    with pytest.raises(NotAcceptable, match="image/jpeg, image/png, image/gif"):
        choose_image_type(parse_accept(accept), single=single)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", "40,400"),
        ("window", "40,400,cubic"),
        ("window", "40,0,linear"),
        ("window", "a,b,linear"),
        ("window", "nan,1,linear"),
        ("viewport", "100"),
        ("viewport", ",100"),
        ("viewport", "0,100"),
        ("viewport", "1e9,100"),
        ("viewport", "10,10,1,1"),
        ("viewport", "10,10,0,0,0,5"),
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "best"),
        ("quality", "1" * 5000),
        ("viewport", "10,10,1e400,0,5,5"),
        ("iccprofile", "mine"),
        ("annotation", "name"),
    ],
)
def test_bad_parameter_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name):
        parse_rendering({name: value})


def test_source_region_of_a_thumbnail_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse_rendering({"viewport": "10,10,0,0,5,5"}, thumbnail=True)


def test_parts_of_a_viewport_may_be_left_out() -> None:
    assert parse_rendering({"viewport": "10,20,,,-5,"}).viewport == Viewport(10, 20, 0.0, 0.0, -5.0, None)


def test_annotation_of_a_thumbnail_is_answered_with_the_standard_s_warning() -> None:
    parsed = parse_rendering({"annotation": "patient,technique"}, thumbnail=True)
    assert parsed.warnings == ("The following annotation values are not supported: patient,technique",)
    assert parsed.annotations == ()


# Words, profiles, moving images


def test_labels_say_who_and_how() -> None:
    wanted = parse_rendering({"annotation": "patient, technique,patient", "window": "40,400,linear"})
    attributes = {"PatientName": "Test^Case=名", "PatientID": "T-1", "PatientBirthDate": "19700203", "PatientSex": "F"}
    how = {"Modality": "CT", "StudyDate": "20240317", "KVP": "120", "SliceThickness": "2", "SeriesNumber": 3}
    patient, technique = labels_of(header(**attributes, **how, InstanceNumber=7), wanted, 2, 9)
    assert (patient.lines, patient.bottom) == (("Test Case", "ID T-1", "* 1970-02-03 F"), False)
    assert technique.lines[0] == "CT 2024-03-17"
    assert {"120 kV", "2 mm", "series 3 image 7 frame 2/9", "C 40 W 400"} < set(technique.lines)


@pytest.mark.parametrize("shape", [(96, 96), (96, 96, 3)])
def test_labels_are_drawn_in_their_corners(shape: tuple[int, ...]) -> None:
    labels = [Label(("Test Case",), bottom=False), Label(("120 kV", "2 mm"), bottom=True)]
    written = encode_image(np.full(shape, 90, "u1"), "image/png", RenderRequest(), labels=labels)
    drawn = np.asarray(Image.open(BytesIO(written)))
    assert min(drawn[:16].max(), drawn[-28:].max()) > 200
    assert (drawn[20:60] == 90).all()


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
@pytest.mark.parametrize(
    ("profile", "name"), [("yes", "sRGB"), ("srgb", "sRGB"), ("adobergb", "Adobe RGB (1998)"), ("rommrgb", "ROMM RGB")]
)
def test_profile_is_embedded(media_type: str, profile: str, name: str) -> None:
    written = Image.open(BytesIO(encode_image(SQUARES, media_type, RenderRequest(profile=profile))))
    assert name in str(ImageCms.getProfileDescription(BytesIO(written.info["icc_profile"])))
    assert written.mode == "RGB"


@pytest.mark.parametrize(
    ("profile", "red", "green"),
    [("adobergb", (219, 0, 0), (144, 255, 60)), ("rommrgb", (179, 70, 26), (138, 237, 77))],
)
def test_colours_are_turned_into_the_space_that_is_asked_for(
    profile: str, red: tuple[int, ...], green: tuple[int, ...]
) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [255, 255, 255]]], "u1")
    written = Image.open(BytesIO(encode_image(colours, "image/png", RenderRequest(profile=profile))))
    assert np.abs(np.asarray(written)[0].astype(int) - [red, green, (255, 255, 255)]).max() <= 1
    back = encode_image(
        np.asarray(written), "image/png", RenderRequest(profile="srgb"), own_profile=written.info["icc_profile"]
    )
    assert np.abs(np.asarray(Image.open(BytesIO(back))).astype(int) - colours).max() <= 3  # eight bits each way


def test_colorants_are_those_that_were_published() -> None:
    profile = ImageCms.ImageCmsProfile(BytesIO(profile_bytes(ADOBE_RGB))).profile
    published = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
    found = [getattr(profile, f"{name}_colorant")[0] for name in ("red", "green", "blue")]
    assert np.abs(np.array(found) - published).max() < 2e-4


def test_profile_of_other_than_three_colours_is_not_embedded() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    with pytest.raises(NotAcceptable, match="RGB"):
        encode_image(SQUARES, "image/png", RenderRequest(profile="yes"), own_profile=lab)


def test_image_s_own_profile_is_embedded_or_turned_into_srgb() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_of(header(OpticalPathSequence=Sequence([header(ICCProfile=own)]))) == own
    assert profile_of(header(Rows=1)) is None
    colours = np.full((4, 4, 3), (200, 40, 10), "u1")
    for profile in ("yes", "srgb"):
        written = encode_image(colours, "image/png", RenderRequest(profile=profile), own_profile=own)
        assert np.abs(np.asarray(Image.open(BytesIO(written))).astype(int) - colours).max() <= 1
    with pytest.raises(NotAcceptable, match="profile"):
        encode_image(colours, "image/png", RenderRequest(profile="yes"), own_profile=b"no profile")


def test_gif_carries_no_profile() -> None:
    with pytest.raises(BadRequest, match="iccprofile"):
        encode_image(SQUARES, "image/gif", RenderRequest(profile="srgb"))


@pytest.mark.parametrize("colours", [False, True])
def test_moving_image_shows_each_frame_for_its_time(colours: bool) -> None:
    greys = [np.full((6, 5), 20 + 100 * step, "u1") for step in range(3)]
    frames = [np.stack([grey] * 3, axis=2) if colours else grey for grey in greys]
    moving = Image.open(BytesIO(b"".join(encode_animation([(frame, ()) for frame in frames], RenderRequest(), 40))))
    assert (moving.n_frames, moving.size, moving.info["loop"]) == (3, (5, 6), 0)
    for step in range(3):
        moving.seek(step)
        assert moving.info["duration"] == 40
        assert (np.asarray(moving.convert("L")) == 20 + 100 * step).all()


def test_frames_become_one_image_only_as_gif() -> None:
    assert choose_image_type(parse_accept("image/gif"), single=False, animated=True) == ("image/gif", False)
    with pytest.raises(NotAcceptable):
        choose_image_type(parse_accept("image/png"), single=False, animated=True)


@pytest.mark.parametrize(
    ("attributes", "milliseconds"),
    [({}, 100), ({"FrameTime": "33.3"}, 33), ({"CineRate": "25"}, 40), ({"FrameTime": "0.1"}, 20)],
)
def test_frames_move_as_fast_as_the_object_says(attributes: dict[str, object], milliseconds: int) -> None:
    assert frame_ms(header(**attributes)) == milliseconds


def test_image_larger_than_memory_allows_is_refused() -> None:
    with pytest.raises(BadRequest, match="at most"):
        image(RenderRequest(viewport=Viewport(16384, 16384)))


# Reports


def concept(meaning: str) -> Sequence:
    return Sequence([header(CodeValue="1", CodingSchemeDesignator="99T", CodeMeaning=meaning)])


def report() -> Dataset:
    unit = Sequence([header(CodeValue="mm", CodingSchemeDesignator="UCUM", CodeMeaning="millimeter")])
    measured = Sequence([header(NumericValue="8.5", MeasurementUnitsCodeSequence=unit)])
    length = header(ValueType="NUM", ConceptNameCodeSequence=concept("Length"), MeasuredValueSequence=measured)
    text = header(ValueType="TEXT", ConceptNameCodeSequence=concept("Note"), TextValue="<b>5 < 6</b>")
    group = header(
        ValueType="CONTAINER", ConceptNameCodeSequence=concept("Group"), ContentSequence=Sequence([length, text])
    )
    code = header(ValueType="CODE", ConceptNameCodeSequence=concept("Finding"), ConceptCodeSequence=concept("Nodule"))
    return header(
        ConceptNameCodeSequence=concept("Imaging Report"),
        VerificationFlag="UNVERIFIED",
        CompletionFlag="COMPLETE",
        ContentSequence=Sequence([group, code]),
    )


def test_report_is_written_as_indented_lines() -> None:
    assert as_plain_text(report()).splitlines() == [
        "Imaging Report: Complete, Unverified",
        "  Group",
        "    Length: 8.5 mm",
        "    Note: <b>5 < 6</b>",
        "  Finding: Nodule",
    ]


def test_report_is_written_as_nested_items() -> None:
    root = ElementTree.fromstring(as_xml(report()))
    assert root.get("name") == "Imaging Report"
    group, finding = root.findall("item")
    assert [(item.get("name"), item.findtext("value")) for item in group.findall("item")] == [
        ("Length", "8.5 mm"),
        ("Note", "<b>5 < 6</b>"),
    ]
    assert finding.findtext("value") == "Nodule"


def test_values_cannot_become_markup() -> None:
    page = as_html(report())
    assert "&lt;b&gt;5 &lt; 6&lt;/b&gt;" in page
    assert "<b>5" not in page


def test_lists_of_a_page_are_closed() -> None:
    page = as_html(report())
    assert page.count("<ul>") == page.count("</ul>") == 2
