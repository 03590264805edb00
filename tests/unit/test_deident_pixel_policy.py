"""Which images are looked at, and what of them is blackened unseen: rules as data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from service.deident.pixels.device_rules import load_device_rules
from service.deident.pixels.image_policy import Look, load_policy
from service.deident.pixels.pixel_cleaner import load_pixel_cleaner
from service.deident.pixels.ultrasound_regions import outside_regions
from service.errors import SettingsInvalid
from tests.text_pictures import DEVICES, header

CT, MR, PET = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128")
US, DX, MG = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.2")
XA, VL = "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY, SLIDE, SEG = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.5.1.4.1.1.66.4")
POLICY = load_policy(DEVICES / "policy.toml")
CLEANER = load_pixel_cleaner(DEVICES)


def image(sop_class: str, modality: str, image_type: str = "", **attributes: object) -> Dataset:
    head = header(600, 800, SOPClassUID=sop_class, Modality=modality, **attributes)
    del head.ImageType
    if image_type:
        head.ImageType = image_type.split("\\")
    return head


@pytest.mark.parametrize(
    ("sop_class", "modality", "image_type", "decision"),
    [
        (CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", Look.PASS),
        (CT, "CT", "ORIGINAL \\PRIMARY\\AXIAL\\HELIX", Look.PASS),
        (CT, "CT", "ORIGINAL\\PRIMARY\\LOCALIZER", Look.LOOK),
        (CT, "CT", "DERIVED\\SECONDARY\\SCREEN SAVE", Look.LOOK),
        (CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL\\DOSE_INFO", Look.LOOK),
        (CT, "CT", "", Look.LOOK),
        (MR, "MR", "ORIGINAL\\PRIMARY\\M_SE\\M\\SE", Look.PASS),
        (MR, "MR", "DERIVED\\SECONDARY\\OTHER", Look.LOOK),
        (PET, "PT", "ORIGINAL\\PRIMARY", Look.PASS),
        (US, "US", "ORIGINAL\\PRIMARY", Look.LOOK),
        (DX, "DX", "ORIGINAL\\PRIMARY", Look.LOOK),
        (MG, "MG", "ORIGINAL\\PRIMARY", Look.LOOK),
        (XA, "XA", "ORIGINAL\\PRIMARY\\SINGLE PLANE", Look.LOOK),
        (VL, "XC", "ORIGINAL\\PRIMARY", Look.LOOK),
        (SECONDARY, "OT", "", Look.LOOK),
        (SLIDE, "SM", "ORIGINAL\\PRIMARY\\VOLUME\\NONE", Look.PASS),
        (SLIDE, "SM", "ORIGINAL\\PRIMARY\\OVERVIEW\\NONE", Look.PERSON),
        (SLIDE, "SM", "ORIGINAL\\PRIMARY\\LABEL\\NONE", Look.LOOK),
        (SEG, "SEG", "DERIVED\\PRIMARY", Look.PASS),
        ("1.2.3.4.5", "QQ", "ORIGINAL\\PRIMARY\\AXIAL", Look.LOOK),
    ],
)
def test_kind_of_image_decides(sop_class: str, modality: str, image_type: str, decision: Look) -> None:
    assert POLICY.decide(image(sop_class, modality, image_type)).decide is decision


def test_sender_who_says_that_there_is_text_is_believed() -> None:
    head = image(CT, "CT", "ORIGINAL\\PRIMARY\\AXIAL", BurnedInAnnotation="YES")
    assert POLICY.decide(head).decide is Look.LOOK


def test_sender_who_says_that_there_is_none_is_not_believed() -> None:
    assert POLICY.decide(image(US, "US", "ORIGINAL\\PRIMARY", BurnedInAnnotation="NO")).decide is Look.LOOK


def test_colour_among_slices_is_looked_at() -> None:
    head = image(MR, "MR", "ORIGINAL\\PRIMARY\\M", SamplesPerPixel=3)
    assert POLICY.decide(head).decide is Look.LOOK


def test_value_that_cannot_be_read_is_looked_at() -> None:
    head = image(CT, "CT")
    head[0x00080008] = RawDataElement(Tag(0x00080008), "UL", 3, b"\1\2\3", 0, False, True)
    assert CLEANER.must_look(head)


def test_each_rule_gives_its_reason() -> None:
    assert all(len(rule.why) > 20 for rule in POLICY.rules)


def test_bar_of_a_known_device_is_blackened_unseen() -> None:
    head = image(US, "US", "ORIGINAL\\PRIMARY", Manufacturer="Philips Medical Systems", ManufacturerModelName="CX50")
    [rule] = load_device_rules(DEVICES).fit(head)
    [region] = rule.rectangles(600, 800)
    assert (region.x, region.y, region.width, region.height) == (0, 0, 800, 59)


def test_other_size_is_another_device() -> None:
    head = image(US, "US", "", Manufacturer="Philips", ManufacturerModelName="CX50", Rows=350)
    assert load_device_rules(DEVICES).fit(head) == []


def test_label_of_a_slide_is_blackened_whole() -> None:
    [rule] = load_device_rules(DEVICES).fit(image(SLIDE, "SM", "ORIGINAL\\PRIMARY\\LABEL\\NONE"))
    [region] = rule.rectangles(300, 200)
    assert (region.x, region.y, region.width, region.height) == (0, 0, 200, 300)


def test_device_rule_has_an_image_looked_at_that_would_pass(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[rule]]\ndecide = "pass"\nwhy = "none of them"\n')
    (tmp_path / "own.toml").write_text('[[device]]\nname = "Own"\nwhen = { modality = "CT" }\nbottom = 10\nleft = 3\n')
    cleaner = load_pixel_cleaner(tmp_path)
    assert cleaner.must_look(image(CT, "CT"))
    assert not cleaner.must_look(image(MR, "MR"))
    [rule] = load_device_rules(tmp_path).rules
    assert [(each.x, each.y, each.width, each.height) for each in rule.rectangles(100, 50)] == [
        (0, 90, 50, 10),
        (0, 0, 3, 100),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rule = 3\nnonsense = 1", "nonsense"),
        ('[[rule]]\ndecide = "skip"\nwhy = "x"', "skip"),
        ('[[rule]]\ndecide = "pass"', "why"),
        ('[[rule]]\ndecide = "pass"\nwhy = "x"\nwhen = { colour = "red" }', "when.colour"),
        ('[[rule]]\ndecide = "pass"\nwhy = "x"\nwhen = { sop_class = "Nonsense" }', "Nonsense"),
        ('[[rule]]\ndecide = "pass"\nwhy = "x"\nwhen = { rows = "many" }', "when.rows"),
        ('[[rule]]\ndecide = "pass"\nwhy = "x"\nevery_frame = 1', "every_frame"),
        ("[harmless]\ntexts = [1]", "harmless.texts"),
        ('[harmless]\npatterns = ["("]', "regular expression"),
        ("[[rule", "policy.toml"),
    ],
)
def test_policy_that_says_nonsense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=words):
        load_policy(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device = 1\nother = 2", "only"),
        ('[[device]]\nname = "X"\ntop = 3', "when"),
        ('[[device]]\nwhen = { modality = "US" }\ntop = 3', "name"),
        ('[[device]]\nname = "X"\nwhen = { modality = "US" }', "nothing to blacken"),
        ('[[device]]\nname = "X"\nwhen = { modality = "US" }\ntop = -3', "number of pixels"),
        ('[[device]]\nname = "X"\nwhen = { modality = "US" }\nregions = [[1, 2, 3]]', "width and height"),
        ('[[device]]\nname = "X"\nwhen = { modality = "US" }\nwhole = "yes"', "whole"),
        ('[[device]]\nname = "X"\nwhen = { modality = "US" }\nceiling = 3', "ceiling"),
    ],
)
def test_device_rule_that_says_nonsense_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=words):
        load_device_rules(tmp_path)


def test_policy_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"policy\.toml"):
        load_pixel_cleaner(tmp_path)


def ultrasound(*regions: tuple[int, int, int, int]) -> Dataset:
    head = Dataset()
    head.SequenceOfUltrasoundRegions = []
    for left, top, right, bottom in regions:
        item = Dataset()
        item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
        head.SequenceOfUltrasoundRegions.append(item)
    return head


side = st.integers(0, 40)


@given(st.lists(st.tuples(side, side, side, side), max_size=4))
def test_everything_outside_of_all_regions_is_blackened_and_nothing_within(
    regions: list[tuple[int, int, int, int]],
) -> None:
    inside = [(left, top, left + width + 1, top + height + 1) for left, top, width, height in regions]
    picture = np.zeros((90, 85), dtype=int)
    for left, top, right, bottom in inside:
        picture[top : bottom + 1, left : right + 1] = 1
    for region in outside_regions(ultrasound(*inside), 90, 85):
        picture[region.y : region.y + region.height, region.x : region.x + region.width] += 2
    # 1: within a region and kept; 2: outside and blackened once
    assert set(np.unique(picture)) <= ({1, 2} if inside else {0})


@pytest.mark.parametrize("region", [(84, 31, 595, 414), (0, 0, 50, 101)])
def test_regions_that_do_not_fit_the_picture_are_not_believed(region: tuple[int, int, int, int]) -> None:
    assert outside_regions(ultrasound(region), 100, 100) == []


def test_region_without_its_corners_is_not_believed() -> None:
    head = ultrasound((0, 0, 10, 10))
    del head.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1
    assert outside_regions(head, 100, 100) == []
