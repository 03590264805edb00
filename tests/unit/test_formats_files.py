"""NIfTI and NRRD files are what nibabel and SimpleITK read, in the place that DICOM says; bad ones are refused."""

from __future__ import annotations

import gzip
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from service.errors import FormatRefused
from service.formats.nifti_file import open_nifti, write_nifti
from service.formats.nrrd_file import read_nrrd, write_nrrd
from service.formats.staged_file import DatasetFolder
from tests.grids_drawn import affines

SHAPE = (3, 4, 5)
PLAIN = np.array([[0, 0, 0.7, -20], [0, 0.8, 0, 30], [2.5, 0, 0, 7], [0, 0, 0, 1.0]])
TILTED = PLAIN + np.outer([0, 0.9, 0, 0], [1, 0, 0, 0])
VOXELS = np.random.default_rng(3).integers(-900, 900, SHAPE).astype(np.int16)


def nifti(folder: Path, affine: np.ndarray, voxels: np.ndarray = VOXELS) -> Path:
    DatasetFolder(folder).write(
        "a.nii.gz", lambda sink: write_nifti(sink, affine, voxels.shape, voxels.dtype, voxels), compressed=True
    )
    return folder / "a.nii.gz"


def nrrd(folder: Path, affine: np.ndarray, voxels: np.ndarray = VOXELS, **more: Any) -> Path:
    DatasetFolder(folder).write(
        "a.nrrd", lambda sink: write_nrrd(sink, affine, voxels.shape[:3], voxels.dtype, voxels, **more)
    )
    return folder / "a.nrrd"


def itk_affine(image: SimpleITK.Image) -> np.ndarray:
    """Index (slice, row, column, 1) → mm, LPS, as SimpleITK has it."""
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


@given(affine=affines())
def test_nifti_has_its_place_in_nibabel_and_in_simpleitk(tmp_path_factory, affine: np.ndarray) -> None:
    file = nifti(tmp_path_factory.mktemp("nifti"), affine)
    ras = np.diag([-1, -1, 1, 1]) @ affine[:, [2, 1, 0, 3]]
    image = nibabel.load(file)
    for place in (image.get_sform(), image.get_qform(), image.affine):
        np.testing.assert_allclose(place, ras, atol=1e-3)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    by_itk = SimpleITK.ReadImage(str(file))
    np.testing.assert_allclose(itk_affine(by_itk), affine, atol=1e-3)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(by_itk), VOXELS)
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, VOXELS)


@given(affine=affines())
def test_nrrd_has_its_place_in_simpleitk_to_the_last_digit(tmp_path_factory, affine: np.ndarray) -> None:
    image = SimpleITK.ReadImage(str(nrrd(tmp_path_factory.mktemp("nrrd"), affine)))
    np.testing.assert_allclose(itk_affine(image), affine, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), VOXELS)


def test_tilted_gantry_stands_in_the_sform_alone_and_itk_refuses_it(tmp_path: Path) -> None:
    file = nifti(tmp_path, TILTED)
    header = nibabel.load(file).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(open_nifti(file).affine, TILTED, atol=1e-5)
    np.testing.assert_allclose(header.get_zooms(), (0.7, 0.8, np.hypot(2.5, 0.9)), rtol=1e-6)
    with pytest.raises(RuntimeError, match="orthonormal"):
        SimpleITK.ReadImage(str(file))


def test_tilted_gantry_is_kept_by_nrrd_and_itk(tmp_path: Path) -> None:
    image = SimpleITK.ReadImage(str(nrrd(tmp_path, TILTED)))
    np.testing.assert_allclose(itk_affine(image), TILTED, atol=1e-9)
    point = image.TransformIndexToPhysicalPoint((4, 3, 2))
    np.testing.assert_allclose(point, (TILTED @ [2, 3, 4, 1])[:3], atol=1e-9)


@given(affine=affines(), kind=st.sampled_from(["u1", "i2", "u2", "i4", "f4"]))
def test_what_was_written_is_read_back(tmp_path_factory, affine: np.ndarray, kind: str) -> None:
    folder = tmp_path_factory.mktemp("both")
    voxels = np.abs(VOXELS).astype(kind)
    own = open_nifti(nifti(folder, affine, voxels))
    np.testing.assert_array_equal(own.stored(), voxels)
    np.testing.assert_allclose(own.affine, affine, atol=1e-4)
    assert own.notes == ()
    other = read_nrrd(nrrd(folder, affine, voxels))
    np.testing.assert_array_equal(other.voxels, voxels[np.newaxis])
    np.testing.assert_array_equal(other.affine, affine)


def test_same_volume_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [write(tmp_path, PLAIN).read_bytes() for write in (nifti, nrrd)]
    assert [write(tmp_path, PLAIN).read_bytes() for write in (nifti, nrrd)] == first


@given(
    pairs=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_]{1,9}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    )
)
def test_nrrd_keeps_layers_and_pairs(tmp_path_factory, pairs: dict[str, str]) -> None:
    layers = np.stack([VOXELS, -VOXELS], axis=-1)
    file = nrrd(tmp_path_factory.mktemp("layers"), PLAIN, layers, layers=2, pairs=pairs | {"b\\s": "one\ntwo\\three"})
    read = read_nrrd(file)
    np.testing.assert_array_equal(read.voxels, np.stack([VOXELS, -VOXELS]))
    assert read.pairs == pairs | {"b\\s": "one\ntwo\\three"}
    itk = SimpleITK.ReadImage(str(file))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(itk), layers)


@pytest.mark.parametrize("space", ["RAS", "right-anterior-superior", "LAS", "left-anterior-superior", "LPS"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_nrrd_of_other_spaces_lies_where_simpleitk_puts_it(tmp_path: Path, space: str, end: str) -> None:
    file = tmp_path / "a.nrrd"
    lines = ["NRRD0004", "# by hand", "type: short", "dimension: 3", "sizes: 5 4 3", "endian: little", "encoding: raw"]
    lines += [f"space: {space}", "space directions: (-1,0,0) (0,-2,0) (0,0,3)", "space origin: (1,2,3)", "", ""]
    file.write_bytes(end.join(lines).encode() + VOXELS.tobytes())
    read = read_nrrd(file)
    np.testing.assert_allclose(read.affine, itk_affine(SimpleITK.ReadImage(str(file))))
    np.testing.assert_array_equal(read.voxels[0], VOXELS)


def test_nrrd_of_simpleitk_is_read(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(VOXELS)
    image.SetOrigin((1, -2, 3.5))
    image.SetSpacing((0.5, 0.75, 3))
    for compressed in (False, True):
        SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"), compressed)
        read = read_nrrd(tmp_path / "a.nrrd")
        np.testing.assert_array_equal(read.voxels[0], VOXELS)
        np.testing.assert_allclose(read.affine, itk_affine(image))


def test_nifti_of_nibabel_is_read_with_its_scaling(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, np.diag([-0.7, -0.8, 2.5, 1]))
    image.header.set_slope_inter(0.5, -7)
    nibabel.save(image, tmp_path / "a.nii")
    read = open_nifti(tmp_path / "a.nii")
    assert read.scaling == (0.5, -7)
    np.testing.assert_array_equal(read.real(), nibabel.load(tmp_path / "a.nii").get_fdata().T)


def test_forms_that_contradict_each_other_are_noted(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, np.diag([-1, -1, 2, 1]))
    image.set_qform(np.diag([-1, -1, 2, 1]) + np.outer([0, 0, 4.0, 0], [0, 0, 0, 1]), code=1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    (note,) = open_nifti(tmp_path / "a.nii.gz").notes
    assert note == "its qform puts voxels up to 4.00 mm from where its sform does; the sform was taken"


def bad_nifti(folder: Path, what: str) -> Path:
    file = folder / "bad.nii.gz"
    affine = np.diag([-1.0, -1, 2, 1])
    image = nibabel.Nifti1Image(VOXELS.T, affine)
    match what:
        case "singular":
            image.header.set_sform(np.diag([-1.0, 0, 2, 1]), code=1)
        case "nowhere":
            image.header.set_sform(None, code=0)
            image.header.set_qform(None, code=0)
        case "not finite":
            image.header.set_sform(np.diag([-1.0, np.nan, 2, 1]), code=1)
        case "4D":
            image = nibabel.Nifti1Image(np.zeros((5, 4, 3, 7), dtype=np.int16), affine)
        case "colour":
            image = nibabel.Nifti1Image(np.zeros((5, 4, 3), dtype=[(c, "u1") for c in "RGB"]), affine)
        case "complex":
            image = nibabel.Nifti1Image(np.zeros((5, 4, 3), dtype=np.complex64), affine)
        case "other":
            file = folder / "bad.mgz"
            image = nibabel.MGHImage(VOXELS.T.astype(np.int32), affine)
    nibabel.save(image, file) if what not in ("singular", "not finite", "nowhere") else _save_as_told(image, file)
    if what == "cut":
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-9]))
    if what == "rubbish":
        file.write_bytes(b"no NIfTI")
    return file


def _save_as_told(image: nibabel.Nifti1Image, file: Path) -> None:
    """With a header that nibabel would mend."""
    image.header["magic"], image.header["vox_offset"] = b"n+1", 352
    file.write_bytes(gzip.compress(image.header.binaryblock + bytes(4) + VOXELS.tobytes()))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("singular", "singular"),
        ("nowhere", "neither its sform nor its qform"),
        ("not finite", "singular"),
        ("4D", "5 × 4 × 3 × 7 voxels in 4 dimensions"),
        ("colour", "colours or complex"),
        ("complex", "colours or complex"),
        ("other", "not a NIfTI file"),
        ("rubbish", "cannot be read as NIfTI"),
        ("cut", "breaks off"),
    ],
)
def test_bad_nifti_is_refused_with_what_is_wrong(tmp_path: Path, what: str, words: str) -> None:
    with pytest.raises(FormatRefused) as refused:
        open_nifti(bad_nifti(tmp_path, what)).stored()
    assert words in str(refused.value)


def test_fourth_dimension_of_one_is_none(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS.T[..., np.newaxis], np.diag([-1.0, -1, 2, 1])), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(open_nifti(tmp_path / "a.nii.gz").stored(), VOXELS)


def test_axis_that_is_too_long_for_nifti_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatRefused, match="at most 32767"):
        nifti(tmp_path, PLAIN, np.zeros((1, 1, 40000), dtype=np.uint8))


GOOD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(1,0,0) (0,1,0) (0,0,1)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(0,0,0)",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "block"}, "no numbers"),
        ({"sizes": "5 4"}, "2 axes"),
        ({"sizes": "5 4 0"}, "3 axes"),
        ({"space directions": "(1,0,0) (0,1,0) (0,0,0)"}, "singular"),
        ({"space directions": "(1,0,0) (0,1,0) (0,0,nan)"}, "singular"),
        ({"space directions": "(1,0,0) (0,1,0) none"}, "does not say where"),
        ({"space directions": "(1,0,0) (0,1,0) (0,1)"}, "not three numbers"),
        ({"space": "scanner-xyz"}, "does not say where"),
        ({"space origin": ""}, "does not say where"),
        ({"encoding": "hex"}, "encoding 'hex'"),
        ({"encoding": "gzip"}, "cannot be read"),
        ({"encoding": "bzip2"}, "cannot be read"),
        ({"data file": "a.raw"}, "do not follow its header"),
        ({"sizes": "5 4 4"}, "120 bytes of voxels where its header tells of 160"),
    ],
)
def test_bad_nrrd_is_refused_with_what_is_wrong(tmp_path: Path, change: dict[str, str], words: str) -> None:
    lines = [f"{key}: {value}" for key, value in (GOOD | change).items()]
    (tmp_path / "a.nrrd").write_bytes(("NRRD0005\n" + "\n".join(lines) + "\n\n").encode() + VOXELS.tobytes())
    with pytest.raises(FormatRefused) as refused:
        read_nrrd(tmp_path / "a.nrrd")
    assert words in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"PNG", b"NRRD0005", b"NRRD0009\n\n", b"NRRD0005\n\n", bytes(range(256))])
@pytest.mark.parametrize("read", [read_nrrd, open_nifti])
def test_rubbish_is_refused(tmp_path: Path, content: bytes, read) -> None:
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(FormatRefused):
        read(tmp_path / "a.nii")


@given(data=st.data(), format_=st.sampled_from(["nii", "nii.gz", "nrrd"]))
def test_changed_bytes_are_read_or_refused(tmp_path_factory, data: st.DataObject, format_: str) -> None:
    folder = tmp_path_factory.mktemp("changed")
    source = nrrd(folder, PLAIN) if format_ == "nrrd" else nifti(folder, PLAIN)
    content = bytearray(gzip.decompress(source.read_bytes()) if format_ == "nii" else source.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    file = folder / f"changed.{format_}"
    file.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with suppress(FormatRefused), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = read_nrrd(file).voxels[0] if format_ == "nrrd" else open_nifti(file).stored()
        assert read.ndim == 3
