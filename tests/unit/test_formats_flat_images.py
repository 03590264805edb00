"""Radiographs, mammograms and loops lie nowhere in the patient: their marks go out and come back by pixel."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    UltrasoundMultiFrameImageStorage,
)

from service.core.annotator import AnnotatorResult
from service.core.findings import Finding, Mask
from service.errors import VolumeRefused
from service.formats.flat_images import flat_images
from service.formats.run_lengths import encoded
from service.objects.findings_reader import findings_of
from service.objects.result_context import WrittenResult
from service.objects.writer import write_flat_results
from tests.annotated_images import flat_image
from tests.dataset_house import DatasetHouse
from tests.dciodvfy import errors_in
from tests.segmentation_sources import cine, endoscopy, pages, projection, radiograph, slide
from tests.volumes import ABNORMAL, ALGORITHM
from tests.volumes import NODULE as NODULE_TYPE
from tests.written_results import context

ROWS, COLUMNS = 18, 13
NODULE = 3
"""Its number in config/labels/default.toml."""
CLINIC = ("--project", "clinic")


def grey(number: int, rows: int = ROWS, columns: int = COLUMNS, **more: Any) -> Dataset:
    """A mammogram of values 0 to 4095, all different."""
    image = flat_image(DigitalMammographyXRayImageStorageForPresentation, "MG", number, InstanceNumber=number, **more)
    image.Rows, image.Columns = rows, columns
    image.ImagerPixelSpacing = [0.1, 0.1]
    for keyword in ("RescaleIntercept", "RescaleSlope", "RescaleType"):
        del image[keyword]
    image.PixelRepresentation = 0
    values = np.linspace(0, 4095, rows * columns).astype("<u2").reshape(rows, columns)
    image.PixelData = np.roll(values, number).tobytes()
    return image


def loop(frames: int = 4) -> Dataset:
    """An ultrasound loop in colour."""
    image = flat_image(UltrasoundMultiFrameImageStorage, "US", NumberOfFrames=frames, FrameTime="40")
    image.Rows, image.Columns = ROWS, COLUMNS
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.FrameIncrementPointer = 0x00181063
    image.PixelData = np.random.default_rng(7).integers(0, 256, (frames, ROWS, COLUMNS, 3), dtype=np.uint8).tobytes()
    image["PixelData"].VR = "OB"
    return image


def values_of(image: Dataset) -> np.ndarray:
    """Stored values as a codec gives them."""
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: np.ndarray = image.pixel_array
    del image.file_meta
    return values


def pixels_of(images: Sequence[Dataset]) -> Any:
    return lambda index: values_of(images[index])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DatasetHouse]:
    house = DatasetHouse(tmp_path)
    yield house
    house.close()


def stored(house: DatasetHouse, images: Sequence[Dataset]) -> None:
    house.uids["study"] = house.study(images, "clinic")


def exported(house: DatasetHouse, layout: str, *words: str, name: str = "out") -> Path:
    return house.exported(layout, *CLINIC, "--with-identifiers", *words, name=name)


def imported(house: DatasetHouse, *words: str, exit_code: int = 0) -> list[dict[str, Any]]:
    answer = house.calls("import", *words, *CLINIC, "--json")
    assert answer.exit_code == exit_code, (answer.output, answer.exception)
    return json.loads(answer.stdout)["items"]


def blank_coco(house: DatasetHouse, name: str = "blank") -> tuple[dict[str, Any], Path]:
    """COCO of images that nobody has marked yet."""
    folder = exported(house, "coco", "--with-unmarked", name=name)
    file = folder / "annotations" / "instances_train.json"
    return json.loads(file.read_text()), file


def marked(document: dict[str, Any], file: Path, annotations: Sequence[dict[str, Any]]) -> Path:
    numbered = [{"id": at, "category_id": NODULE, "iscrowd": 0} | one for at, one in enumerate(annotations, start=1)]
    out = file.with_name("marked.json")
    out.write_text(json.dumps(document | {"annotations": numbered}))
    return out


def mask() -> np.ndarray:
    inside = np.zeros((ROWS, COLUMNS), dtype=bool)
    inside[4:9, 3:7] = True
    inside[6, 5] = False
    return inside


REGIONS: list[dict[str, Any]] = [
    {"segmentation": encoded(mask()), "bbox": [3, 4, 4, 5], "area": 19},
    {"segmentation": [[1.5, 2.0, 6.0, 2.5, 5.0, 7.0]], "bbox": [1.5, 2, 4.5, 5], "area": 10},
    {"segmentation": [], "bbox": [2, 3, 4, 6], "area": 24},
]


def told(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What a COCO file says of each region, without numbers of images."""
    files = {one["id"]: one["annogate"]["sop_instance_uid"] for one in document["images"]}
    rows = []
    for one in document["annotations"]:
        region = one["segmentation"]
        kind = one.get("annogate", {}).get("kind")
        box = kind == "box" or not region
        shape = "box" if box else json.dumps(region, sort_keys=True)
        rows.append((files[one["image_id"]], shape, tuple(one["bbox"]), one["category_id"]))
    return sorted(rows)


def test_regions_on_two_views_come_back_as_they_went(house: DatasetHouse) -> None:
    stored(house, [grey(1), grey(2)])
    document, file = blank_coco(house)
    assert [(one["width"], one["height"]) for one in document["images"]] == [(COLUMNS, ROWS)] * 2
    first, second = (one["id"] for one in document["images"])
    regions = [one | {"image_id": image} for one, image in zip(REGIONS, (second, first, second), strict=True)]
    (item,) = imported(house, "coco", str(marked(document, file, regions)), "--made-by", "detector")
    assert (item["status"], len(item["objects"])) == ("imported", 2), item
    back = exported(house, "coco", name="back") / "annotations" / "instances_train.json"
    assert told(json.loads(back.read_text())) == told(json.loads(file.with_name("marked.json").read_text()))


def test_mask_on_a_loop_in_colour_comes_back_pixel_by_pixel(house: DatasetHouse) -> None:
    image = loop()
    stored(house, [image])
    folder = exported(house, "png", "--with-unmarked", name="blank")
    shown = sorted((folder / "images").rglob("*.png"))
    frames = values_of(image)
    for number, file in enumerate(shown):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), frames[number])
    masks = folder / "masks" / shown[2].parent.name
    masks.mkdir(parents=True)
    Image.fromarray(np.where(mask(), NODULE, 0).astype(np.uint8)).save(masks / shown[2].name)
    (item,) = imported(
        house, "masks", str(masks), "--pictures", str(folder / "tables" / "pictures.csv"), "--made-by", "painter"
    )
    assert item["status"] == "imported", item
    back = exported(house, "png", name="back")
    (painted,) = (back / "masks").rglob("*.png")
    assert painted.name == shown[2].name
    np.testing.assert_array_equal(np.asarray(Image.open(painted)) == NODULE, mask())


def test_mask_is_shown_by_a_line_on_its_frame_and_read_back_without_it(house: DatasetHouse) -> None:
    stored(house, [loop()])
    document, file = blank_coco(house)
    region = REGIONS[0] | {"image_id": document["images"][2]["id"]}
    (item,) = imported(house, "coco", str(marked(document, file, [region])), "--made-by", "detector")
    rows = [row for row in house.results(house.uids["study"], "clinic") if row.sop_instance_uid in item["objects"]]
    headers = [dcmread(house.gateway.blobs.open(row.blob.key), stop_before_pixels=True) for row in rows]
    report = next(one for one in headers if one.Modality == "SR")
    segmentation = next(one for one in headers if one.Modality == "SEG")
    (found,) = findings_of(report, segmentation)
    assert (found.shapes, found.measurements) == ((), ())
    drawn = [one for one in report.iterall() if one.keyword == "GraphicData"]
    assert drawn, "OHIF shows no group without coordinates"
    frames = {one.value for one in report.iterall() if one.keyword == "ReferencedFrameNumber"}
    assert 3 in frames
    # The longest line between edges of the pixels: from corner to corner.
    np.testing.assert_allclose(sorted(np.reshape(drawn[0].value, (2, 2)).tolist()), [[3, 4], [7, 9]], atol=1)


@pytest.mark.parametrize("layout", ["yolo", "yolo-seg"])
def test_yolo_has_the_box_in_shares(house: DatasetHouse, layout: str) -> None:
    stored(house, [grey(1)])
    document, file = blank_coco(house)
    region = REGIONS[2] | {"image_id": document["images"][0]["id"]}
    imported(house, "coco", str(marked(document, file, [region])), "--made-by", "detector")
    (text,) = (exported(house, layout, name=layout) / "labels").rglob("*.txt")
    numbers = [float(word) for word in text.read_text().split()][1:]
    if layout == "yolo":
        np.testing.assert_allclose(numbers, [4 / COLUMNS, 6 / ROWS, 4 / COLUMNS, 6 / ROWS], atol=1e-6)
    else:
        corners = np.reshape(numbers, (-1, 2)) * (COLUMNS, ROWS)
        np.testing.assert_allclose([corners.min(axis=0), corners.max(axis=0)], [[2, 3], [6, 9]], atol=1e-5)


def test_images_of_two_sizes_are_two_cases_and_findings_stay_on_theirs(house: DatasetHouse) -> None:
    stored(house, [grey(1), grey(2, rows=20)])
    document, file = blank_coco(house)
    large = next(one for one in document["images"] if one["height"] == 20)
    region = REGIONS[1] | {"image_id": large["id"]}
    imported(house, "coco", str(marked(document, file, [region])), "--made-by", "detector")
    back = json.loads((exported(house, "coco", name="back") / "annotations" / "instances_train.json").read_text())
    assert [one["height"] for one in back["images"]] == [20]
    rows = list(csv.DictReader((house.folder / "back" / "tables" / "findings.csv").open()))
    assert [(row["label"], row["volume_mm3"]) for row in rows] == [("nodule", "")]


def test_marks_on_images_of_two_sizes_in_one_file_are_refused(house: DatasetHouse) -> None:
    stored(house, [grey(1), grey(2, rows=20)])
    document, file = blank_coco(house)
    regions = [REGIONS[1] | {"image_id": one["id"]} for one in document["images"]]
    (item,) = imported(house, "coco", str(marked(document, file, regions)), "--made-by", "detector", exit_code=1)
    assert "another size" in item["reason"]


def test_formats_of_volumes_say_which_formats_hold_pictures(house: DatasetHouse) -> None:
    stored(house, [grey(1)])
    quiet = house.export("nifti", *CLINIC, "--with-identifiers", "--with-unmarked", name="unmarked")
    assert quiet["cases"] == 0
    document, file = blank_coco(house)
    region = REGIONS[0] | {"image_id": document["images"][0]["id"]}
    imported(house, "coco", str(marked(document, file, [region])), "--made-by", "detector")
    answer = house.export("nifti", *CLINIC, "--with-identifiers", name="nifti", exit_code=1)
    assert "coco" in json.dumps(answer["refused"])
    table = exported(house, "csv", name="csv") / "tables" / "cases.csv"
    (row,) = csv.DictReader(table.open())
    assert (row["slices"], row["row_mm"], row["slice_mm"]) == ("1", "0.1", "")


def test_mask_of_a_volume_is_refused_on_a_radiograph(house: DatasetHouse, tmp_path: Path) -> None:
    stored(house, [grey(1)])
    import nibabel

    file = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((COLUMNS, ROWS, 1), dtype=np.uint8), np.eye(4)), file)
    series = house.images(house.uids["study"], "clinic")[0].series_uid
    (item,) = imported(house, "masks", str(file), "--series", series, "--made-by", "us", exit_code=1)
    assert "PNG or COCO" in item["reason"]


def first_picture(house: DatasetHouse, image: Dataset, *words: str) -> np.ndarray:
    stored(house, [image])
    (file,) = (exported(house, "png", "--with-unmarked", *words) / "images").rglob("*.png")
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_grey_is_seen_through_the_images_own_window(house: DatasetHouse, photometric: str) -> None:
    image = grey(1, WindowCenter=1000, WindowWidth=1000, PhotometricInterpretation=photometric)
    values = values_of(image).astype(float)
    expected = np.rint(np.clip((values - 999.5) / 999 + 0.5, 0, 1) * 255)
    picture = first_picture(house, image)
    np.testing.assert_array_equal(picture, 255 - expected if photometric == "MONOCHROME1" else expected)


def test_grey_without_a_window_is_seen_from_end_to_end(house: DatasetHouse) -> None:
    picture = first_picture(house, grey(1))
    assert (picture.min(), picture.max()) == (0, 255)


def test_each_image_has_its_own_window() -> None:
    from service.formats.pictures import picture_maker

    images = [grey(1, WindowCenter=1000, WindowWidth=1000), grey(2, WindowCenter=3000, WindowWidth=500)]
    (found,) = flat_images(images, pixels_of(images))
    maker = picture_maker(found, None)
    assert [maker.made(number)[1].center for number in (0, 1, 0)] == [1000, 3000, 1000]  # type: ignore[union-attr]


def test_palette_becomes_its_colours() -> None:
    image = grey(1)
    image.PhotometricInterpretation = "PALETTE COLOR"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    image.PixelData = np.arange(ROWS * COLUMNS, dtype=np.uint8).tobytes()
    for colour, values in zip(("Red", "Green", "Blue"), (range(256), range(255, -1, -1), [7] * 256), strict=True):
        setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(image, f"{colour}PaletteColorLookupTableData", (np.array(values, dtype="<u2") * 257).tobytes())
    (found,) = flat_images([image], pixels_of([image]))
    numbers = values_of(image)
    np.testing.assert_array_equal(found.colours(0), np.stack([numbers, 255 - numbers, np.full_like(numbers, 7)], -1))


def table(bits: int, values: Sequence[int]) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(values) % 65536, 0, bits])
    item.add_new(0x00283006, "OW", np.array(values, dtype="<u2").tobytes())
    return item


def test_grey_goes_through_the_tables_of_its_image(house: DatasetHouse) -> None:
    image = grey(1)
    upside_down = table(16, range(4095, -1, -1))
    upside_down.ModalityLUTType = "US"
    image.ModalityLUTSequence = [upside_down]
    image.VOILUTSequence = [table(12, np.arange(4096) // 2)]
    shown = np.rint((4095 - values_of(image).astype(int)) // 2 / 4095 * 255)
    np.testing.assert_array_equal(first_picture(house, image), shown)


def test_table_that_is_broken_is_told() -> None:
    image = grey(1, VOILUTSequence=[Dataset()])
    (found,) = flat_images([image], pixels_of([image]))
    with pytest.raises(VolumeRefused, match="lookup table"):
        found.through_table(0)


def test_what_lies_above_bits_stored_is_no_grey() -> None:
    image = grey(1, BitsStored=12, HighBit=11)
    plain = values_of(image)
    image.PixelData = (plain | 0x8000).astype("<u2").tobytes()
    (found,) = flat_images([image], lambda _: plain | 0x8000)
    np.testing.assert_array_equal(found.real_slice(0), plain)


def test_slices_of_a_volume_and_tiles_are_not_flat() -> None:
    from tests.datasets import ct_slice

    assert flat_images([ct_slice(1), slide()], lambda _: np.zeros((2, 2))) == []


def test_radiograph_with_a_calibrated_spacing_says_it() -> None:
    images = [flat_image(ComputedRadiographyImageStorage, "CR", number, PixelSpacing=[0.2, 0.3]) for number in (1, 2)]
    (found,) = flat_images(images, pixels_of(images))
    assert found.spacing_mm == (0.2, 0.3)
    images[1].PixelSpacing = [0.1, 0.1]
    assert found.spacing_mm == (None, None)


FLAT = {
    "mammogram": projection,
    "radiograph": radiograph,
    "ultrasound loop": cine,
    "endoscopy": endoscopy,
    "pages": pages,
}


def written(image: Dataset, *masks_at: Mask) -> WrittenResult:
    findings = tuple(
        Finding(f"Mark {at}", f"2.25.9{at}", ABNORMAL, NODULE_TYPE, mask=one) for at, one in enumerate(masks_at)
    )
    return write_flat_results(AnnotatorResult(findings, ALGORITHM, "words"), "Marks", [image], context())


@pytest.mark.parametrize("kind", FLAT)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_line_that_shows_a_mask_is_as_long_as_two_of_its_pixels_are_apart(kind: str, data: st.DataObject) -> None:
    image = FLAT[kind]()
    shape = (int(image.get("NumberOfFrames") or 1), int(image.Rows), int(image.Columns))
    drawn = data.draw(st.sets(st.tuples(*(st.integers(0, size - 1) for size in shape)), min_size=1, max_size=12))
    inside = np.zeros(shape, dtype=bool)
    inside[tuple(np.array(sorted(drawn)).T)] = True
    report = written(image, Mask.cut_from(inside)).report
    (line,) = [np.reshape(one.value, (2, 2)) for one in report.iterall() if one.keyword == "GraphicData"]
    spacing = np.array((image.get("PixelSpacing") or image.get("ImagerPixelSpacing") or (1, 1))[::-1], dtype=float)
    longest = max(_longest_mm(np.argwhere(frame)[:, ::-1], spacing) for frame in inside if frame.any())
    assert np.linalg.norm((line[1] - line[0]) * spacing) == pytest.approx(longest, abs=1e-4)


def _longest_mm(pixels: np.ndarray, spacing: np.ndarray) -> float:
    """Between the farthest corners of any two pixels (column, row)."""
    corners = (pixels[:, None, :] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).reshape(-1, 2) * spacing
    return float(np.linalg.norm(corners[:, None] - corners[None], axis=-1).max())


def test_mask_on_the_tiles_of_a_slide_is_shown_by_no_line() -> None:
    """Its mask is counted in the whole matrix, and its frames are tiles: a line would lie elsewhere."""
    report = written(slide(), Mask(np.ones((1, 2, 2), dtype=bool), (0, 20, 20))).report
    assert [one for one in report.iterall() if one.keyword == "GraphicData"] == []


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("kind", FLAT)
def test_dciodvfy_finds_no_error_in_marks_on_flat_images(kind: str, tmp_path: Path) -> None:
    inside = np.zeros((1, int(FLAT[kind]().Rows), int(FLAT[kind]().Columns)), dtype=bool)
    inside[0, 2:5, 3:6] = True
    result = written(FLAT[kind](), Mask.cut_from(inside), Mask.cut_from(np.roll(inside, 3, axis=1)))
    assert result.segmentation is not None
    for one in (result.segmentation, result.report):
        assert errors_in(one, tmp_path) == []
