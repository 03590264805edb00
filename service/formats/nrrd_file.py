"""NRRD files with their header attached: written slice by slice, read with their place checked (teem's format, 5).

Coordinates are left-posterior-superior, as DICOM's, and axes need not be at right angles, so a tilted gantry is kept.
What 3D Slicer knows of segments stands in key/value pairs, see ``segment_fields``.
"""

from __future__ import annotations

import bz2
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from service.core.volume import Affine
from service.errors import FormatRefused
from service.formats.grids import Shape
from service.formats.staged_file import Sink, gzip_packer

_TYPES: Final = {
    name: code
    for code, names in {
        "i1": "int8|int8_t|signed char",
        "u1": "uint8|uint8_t|uchar|unsigned char",
        "i2": "int16|int16_t|short|short int|signed short|signed short int",
        "u2": "uint16|uint16_t|ushort|unsigned short|unsigned short int",
        "i4": "int32|int32_t|int|signed int",
        "u4": "uint32|uint32_t|uint|unsigned int",
        "i8": "int64|int64_t|longlong|long long|long long int|signed long long|signed long long int",
        "u8": "uint64|uint64_t|ulonglong|unsigned long long|unsigned long long int",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split("|")
}
_NAMES: Final = {code: name for name, code in reversed(_TYPES.items())}
_SPACES: Final = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
"""What turns the coordinates of a space into LPS."""
_MAGIC: Final = re.compile(r"NRRD000[1-5]")
_LONGEST_HEADER: Final = 16 << 20
_VECTOR: Final = re.compile(r"none|\([^)]*\)")


@dataclass(frozen=True, slots=True, eq=False)
class NrrdFile:
    """A file of one volume.

    Parameters
    ----------
    affine : index (slice, row, column, 1) → mm, LPS
    voxels : shape (layers, slices, rows, columns); one layer unless its first axis is a list
    pairs : its key/value pairs
    """

    affine: Affine
    voxels: npt.NDArray[Any] = field(repr=False)
    pairs: Mapping[str, str]

    @property
    def shape(self) -> Shape:
        """Number of slices, rows and columns."""
        _, slices, rows, columns = self.voxels.shape
        return slices, rows, columns


def write_nrrd(
    sink: Sink,
    affine: Affine,
    shape: Shape,
    dtype: npt.DTypeLike,
    slices: Iterable[npt.NDArray[Any]],
    *,
    layers: int = 1,
    pairs: Mapping[str, str] | None = None,
) -> None:
    """Write a volume, its slices in order, one in memory at a time.

    Parameters
    ----------
    affine : index (slice, row, column, 1) → mm, LPS
    shape : number of slices, rows and columns
    slices : shape (rows, columns) each, or (rows, columns, layers) where there are several
    """
    kind = np.dtype(dtype).newbyteorder("<")
    sink.write(_header(affine, shape, kind, layers, pairs or {}).encode())
    packer = gzip_packer()
    for one in slices:
        sink.write(packer.compress(np.ascontiguousarray(one, dtype=kind).data.cast("B")))
    sink.write(packer.flush())


def _header(affine: Affine, shape: Shape, kind: np.dtype[Any], layers: int, pairs: Mapping[str, str]) -> str:
    several = layers > 1
    steps = [_vector(affine[:3, axis]) for axis in (2, 1, 0)]
    lines = [
        "NRRD0005",
        f"type: {_NAMES[kind.str[1:]]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(size) for size in ([layers] if several else []) + list(shape[::-1])),
        "space directions: " + " ".join((["none"] if several else []) + steps),
        "kinds: " + ("list " if several else "") + "domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(affine[:3, 3])}",
        *(f"{key}:={_escaped(value)}" for key, value in pairs.items()),
    ]
    return "\n".join(lines) + "\n\n"


def _vector(values: npt.NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def read_nrrd(file: Path) -> NrrdFile:
    """Read a file of one volume.

    Raises
    ------
    FormatRefused : it is none, is packed in a way that is not read here, or does not say where its voxels lie
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise FormatRefused(f"it cannot be read: {error.strerror}") from error
    fields, pairs, begin = _fields(content)
    for refused in ("data file", "datafile", "line skip", "byte skip"):
        if fields.get(refused, "0") != "0":
            raise FormatRefused(f"its voxels do not follow its header ({refused}): write header and voxels in one file")
    code = _TYPES.get(fields.get("type", ""))
    if code is None:
        raise FormatRefused("its voxels are no numbers (type)")
    sizes = [int(size) for size in fields.get("sizes", "").split() if size.isdigit()]
    axes = [_read_vector(text) for text in _VECTOR.findall(fields.get("space directions", ""))]
    listed = len(axes) == 4 and axes[0] is None
    if len(sizes) != 3 + listed or len(axes) != len(sizes) or min(sizes) < 1:
        raise FormatRefused(
            f"it has {len(sizes)} axes of which {sum(axis is not None for axis in axes)} lie in space; a volume has "
            "three, and one before them for layers of segments"
        )
    affine = _affine(axes[listed:], fields)
    order = ">" if fields.get("endian", "little") == "big" else "<"
    voxels = _voxels(content[begin:], fields.get("encoding", ""), np.dtype(order + code), sizes)
    return NrrdFile(affine, voxels if listed else voxels[np.newaxis], pairs)


def _fields(content: bytes) -> tuple[dict[str, str], dict[str, str], int]:
    """Header fields by name in small letters, key/value pairs, and where the voxels begin."""
    head, _, _ = content[:_LONGEST_HEADER].partition(b"\n\n")
    lines = head.replace(b"\r\n", b"\n").decode("utf-8", "replace").split("\n")
    end = len(head) + 2
    if b"\r\n\r\n" in head:
        end = head.index(b"\r\n\r\n") + 4
        lines = head[: end - 4].decode("utf-8", "replace").split("\r\n")
    if not _MAGIC.fullmatch(lines[0]):
        raise FormatRefused("it is not an NRRD file")
    fields, pairs = {}, {}
    for line in lines[1:]:
        if line.startswith("#"):
            continue
        key, pair, value = line.partition(":=")
        if pair and ": " not in key:
            pairs[key] = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)
            continue
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip().lower() if name.strip() != "content" else value.strip()
    return fields, pairs, end


def _read_vector(text: str) -> list[float] | None:
    if text == "none":
        return None
    try:
        values = [float(number) for number in text.strip("()").split(",")]
    except ValueError:
        values = []
    if len(values) != 3:
        raise FormatRefused("an axis of it has a direction that is not three numbers (space directions)")
    return values


def _affine(axes: Sequence[list[float] | None], fields: Mapping[str, str]) -> Affine:
    turn = _SPACES.get(fields.get("space", ""))
    origins = _VECTOR.findall(fields.get("space origin", ""))
    if turn is None or len(origins) != 1 or any(axis is None for axis in axes):
        raise FormatRefused("it does not say where it lies in the patient (space, space origin, space directions)")
    affine = np.eye(4)
    for place, axis in zip((2, 1, 0), axes, strict=True):
        affine[:3, place] = axis
    affine[:3, 3] = _read_vector(origins[0])
    affine[:3] *= np.array(turn)[:, np.newaxis]
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise FormatRefused("its space directions are singular, so its voxels lie on a plane or nowhere: mend them")
    return affine


def _voxels(content: bytes, encoding: str, kind: np.dtype[Any], sizes: Sequence[int]) -> npt.NDArray[Any]:
    """Shape: the sizes the other way round, layers first."""
    size = math.prod(sizes) * kind.itemsize
    try:
        if encoding in ("gzip", "gz"):
            content = zlib.decompressobj(47).decompress(content, size + 1)
        elif encoding in ("bzip2", "bz2"):
            content = bz2.BZ2Decompressor().decompress(content, size + 1)
        elif encoding != "raw":
            raise FormatRefused(f"its voxels are kept in encoding {encoding!r}; raw, gzip and bzip2 are read here")
    except (zlib.error, OSError, EOFError, ValueError) as error:
        raise FormatRefused("its compressed voxels cannot be read: copy the file again") from error
    if len(content) != size:
        raise FormatRefused(f"it holds {len(content)} bytes of voxels where its header tells of {size}")
    voxels = np.frombuffer(content, dtype=kind).reshape(sizes[::-1])
    return voxels.transpose(3, 0, 1, 2) if len(sizes) == 4 else voxels
