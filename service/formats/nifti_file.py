"""NIfTI-1 files: written slice by slice, read with their place checked.

Both forms of the place are written from the volume's affine, in scanner coordinates (code 1): sform as it is, qform as
a quaternion and three spacings. A quaternion cannot hold the shear of a tilted gantry. Such a file has no qform (code
0): readers that know only rigid axes (ITK among them) refuse it then, where the nearest rotation would have shown them
voxels a centimetre off without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from service.core.volume import Affine
from service.errors import FormatRefused, SettingsInvalid
from service.formats.grids import Shape, is_sheared, lps_of, ras_of
from service.formats.staged_file import Sink

if TYPE_CHECKING:
    import nibabel

_SCANNER: Final = 1
"""NIFTI_XFORM_SCANNER_ANAT, the code of coordinates in the scanner."""
_LONGEST: Final = 32767
"""A dimension is kept in 16 bits with a sign."""


def require_nibabel() -> None:
    """Refuse where the library that knows NIfTI is not installed.

    Raises
    ------
    SettingsInvalid : names the extra that brings it
    """
    try:
        import nibabel  # noqa: F401
    except ImportError as error:
        raise SettingsInvalid(
            "NIfTI needs nibabel, which is not installed: pip install 'annogate[formats]', or take NRRD"
        ) from error


def write_nifti(
    sink: Sink, affine: Affine, shape: Shape, dtype: npt.DTypeLike, slices: Iterable[npt.NDArray[Any]]
) -> None:
    """Write a volume, its slices in order, one in memory at a time.

    Parameters
    ----------
    affine : index (slice, row, column, 1) → mm, LPS
    shape : number of slices, rows and columns
    slices : shape (rows, columns) each, with values that ``dtype`` holds

    Raises
    ------
    FormatRefused : the volume is larger than the format can say
    """
    sink.write(_header(affine, shape, np.dtype(dtype)))
    for one in slices:
        sink.write(np.ascontiguousarray(one, dtype=np.dtype(dtype).newbyteorder("<")).data.cast("B"))


def _header(affine: Affine, shape: Shape, dtype: np.dtype[Any]) -> bytes:
    from nibabel.nifti1 import Nifti1Header

    if max(shape) > _LONGEST:
        raise FormatRefused(f"NIfTI-1 holds at most {_LONGEST} voxels along an axis; this volume has {max(shape)}")
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(shape[::-1])
    ras = ras_of(affine)
    if is_sheared(affine, shape):
        # Steps as they are: the spacing along the slices is that of the sheared axis.
        header["pixdim"][1:4] = np.linalg.norm(ras[:3, :3], axis=0)
    else:
        header.set_qform(ras, code=_SCANNER)
    header.set_sform(ras, code=_SCANNER)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = header.single_vox_offset
    return bytes(header.binaryblock) + bytes(4)  # no extension follows


@dataclass(frozen=True, slots=True, eq=False)
class NiftiFile:
    """A NIfTI file of one volume.

    Parameters
    ----------
    affine : index (slice, row, column, 1) → mm, LPS
    shape : number of slices, rows and columns
    notes : what a user should know of how it was read, in words
    """

    affine: Affine
    shape: Shape
    notes: tuple[str, ...]
    _image: nibabel.Nifti1Image = field(repr=False)

    @property
    def scaling(self) -> tuple[float, float]:
        """Slope and intercept of the stored values; (1, 0) where the header gives none."""
        proxy = self._image.dataobj
        return float(proxy.slope), float(proxy.inter)

    def stored(self) -> npt.NDArray[Any]:
        """The stored values before slope and intercept, shape (slices, rows, columns).

        Raises
        ------
        FormatRefused : the file breaks off
        """
        return self._read(lambda proxy: proxy.get_unscaled())

    def real(self) -> npt.NDArray[Any]:
        """The values after slope and intercept, shape (slices, rows, columns); of a type that holds them.

        Raises
        ------
        FormatRefused : the file breaks off
        """
        return self._read(np.asanyarray)

    def _read(self, read: Any) -> npt.NDArray[Any]:
        try:
            values: npt.NDArray[Any] = np.asanyarray(read(self._image.dataobj))
        except Exception as error:  # nibabel over arbitrary bytes raises whatever comes
            raise FormatRefused("the file breaks off before its last voxel: copy it again") from error
        ordered: npt.NDArray[Any] = values.reshape(self.shape[::-1]).transpose(2, 1, 0)
        return ordered


def open_nifti(file: Path) -> NiftiFile:
    """Open a file of one volume; its voxels are read when they are asked for.

    Raises
    ------
    FormatRefused : it is none, holds another number of volumes, or does not say where its voxels lie
    SettingsInvalid : the library that reads it is not installed
    """
    require_nibabel()
    import nibabel

    try:
        image = nibabel.load(file)
    except Exception as error:  # likewise
        raise FormatRefused("it cannot be read as NIfTI") from error
    if not isinstance(image, nibabel.Nifti1Image):  # of which NIfTI-2 is a kind
        raise FormatRefused("it is not a NIfTI file")
    shape = _shape_of(image)
    if image.get_data_dtype().fields is not None or image.get_data_dtype().kind not in "iuf":
        raise FormatRefused("its voxels are colours or complex numbers; a volume of single numbers is asked for")
    affine, notes = _place_of(image)
    return NiftiFile(affine, shape, notes, image)


def _shape_of(image: nibabel.Nifti1Image) -> Shape:
    sizes = list(image.shape)
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 3:
        raise FormatRefused(
            f"it holds {' × '.join(map(str, sizes))} voxels in {len(sizes)} dimensions, three are asked for: "
            "write each volume to a file of its own"
        )
    sizes += [1] * (3 - len(sizes))
    if min(sizes) < 1:
        raise FormatRefused("it holds no voxel")
    return int(sizes[2]), int(sizes[1]), int(sizes[0])


def _place_of(image: nibabel.Nifti1Image) -> tuple[Affine, tuple[str, ...]]:
    """Where the voxels lie: sform where there is one, else qform, as nibabel and the training tools take it."""
    header = image.header
    if not (int(header["sform_code"]) or int(header["qform_code"])):
        raise FormatRefused(
            "neither its sform nor its qform says where it lies in the patient: write it from a source that knows"
        )
    ras = np.asarray(image.affine, dtype=np.float64)
    if not np.all(np.isfinite(ras)) or abs(np.linalg.det(ras[:3, :3])) < 1e-9:
        raise FormatRefused("its affine is singular, so its voxels lie on a plane or nowhere: mend sform and qform")
    notes: list[str] = []
    if int(header["sform_code"]) and int(header["qform_code"]):
        apart = _apart(ras, np.asarray(header.get_qform()), image.shape[:3])
        if apart > 0.1 * np.linalg.norm(ras[:3, :3], axis=0).min():
            notes.append(f"its qform puts voxels up to {apart:.2f} mm from where its sform does; the sform was taken")
    return lps_of(ras), tuple(notes)


def _apart(one: Affine, other: Affine, shape: tuple[int, ...]) -> float:
    """How far the same voxel lies from itself in two affines, at most, in mm."""
    ends = np.array(np.meshgrid(*((0, size - 1) for size in shape))).reshape(len(shape), -1)
    ends = np.vstack([ends, np.zeros((3 - len(shape), ends.shape[1])), np.ones((1, ends.shape[1]))])
    return float(np.linalg.norm(((one - other) @ ends)[:3], axis=0).max())
