"""What datasets cost in time and memory: ``python -m benchmarks.formats [SLICES]``.

First a series as NIfTI, beside SimpleITK: a CT of 512 × 512 a slice with noise round water, read from its DICOM files
and written as .nii.gz with the same level of compression. Each run is a process of its own: processor seconds, and the
most memory that was resident (VmHWM), which for either includes its imports. The files are read back and held against
each other.

Then whole datasets by ``annogate export dataset``, in each format for 4 patients and for 16, each with a study of 60 ×
512 × 512 and a mask: the most memory of one beside the other says whether memory grows with a dataset.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom import dcmread

from service.formats.layouts import LAYOUTS
from tests import peak_memory
from tests.ct_series import write_ct_series
from tests.dataset_house import CONFIGURATION, DatasetHouse, ct_series
from tests.volumes import nodule

SLICES = 300
ROUNDS = 3
LEVEL = 4
FEW, MANY = 4, 16


def ours(folder: Path, out: Path) -> None:
    """As an export does it: headers first, then slice by slice."""
    from service.core.stored_pixels import decode_pixels
    from service.core.volume_slices import open_volumes
    from service.formats.nifti_file import write_nifti
    from service.formats.staged_file import DatasetFolder
    from service.formats.voxel_types import typed_slices, voxel_type

    files = sorted(folder.iterdir())
    headers = [dcmread(file, stop_before_pixels=True) for file in files]
    (volume,) = open_volumes(headers, lambda index: decode_pixels(dcmread(files[index]))).volumes
    dtype = voxel_type(volume)
    slices = typed_slices(volume, dtype)
    DatasetFolder(out.parent).write(
        out.name, lambda sink: write_nifti(sink, volume.affine, volume.shape, dtype, slices), compressed=True
    )


def simpleitk(folder: Path, out: Path) -> None:
    """The usual way, on one thread."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    SimpleITK.WriteImage(SimpleITK.ReadImage(files), str(out), True, LEVEL)


WAYS = {"ours": ours, "SimpleITK": simpleitk}


def measured(way: str, folder: Path, out: Path) -> tuple[float, int]:
    """Processor seconds and bytes of one run."""
    ended, peak = peak_memory.run("benchmarks.formats", "run", way, str(folder), str(out))
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return float(ended.stdout.split()[-1]), peak


def of_a_series(slices: int) -> None:
    """Print a line for each way, and the ratios."""
    import nibabel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_ct_series(folder / "dicom", slices)
        found: dict[str, list[tuple[float, int]]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way in WAYS:
                found[way].append(measured(way, folder / "dicom", folder / f"{way}.nii.gz"))
        ends = {}
        for way, runs in found.items():
            seconds, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
            ends[way] = seconds, peak
            size = (folder / f"{way}.nii.gz").stat().st_size
            print(f"{way:10} {seconds:6.2f} s of processor, {peak >> 20:5d} MiB at most, file {size / 1e6:.1f} MB")
        one, other = (nibabel.load(folder / f"{way}.nii.gz") for way in WAYS)
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
        ratios = [ends["ours"][place] / ends["SimpleITK"][place] for place in range(2)]
        print(f"ours takes {ratios[0]:.2f} of its time and {ratios[1]:.2f} of its memory; the voxels are the same")


def of_datasets() -> None:
    """Print a line for each format: the most memory for few patients and for many, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        house = DatasetHouse(Path(name), lambda volume: [nodule(volume)])
        for number in range(1, MANY + 1):
            series = ct_series(number, patient_id=f"P-{number}", slices=60, rows=512, columns=512)
            house.uids[str(number)] = house.receive(series)[0].study_uid
        house.complete()
        house.close()
        (house.folder / "annogate.toml").write_text(CONFIGURATION)
        few = [word for number in range(1, FEW + 1) for word in ("--study", house.uids[str(number)])]
        for layout in LAYOUTS:
            peaks = [_peak_of_export(house.folder, layout, words) for words in (few, [])]
            print(
                f"{layout:8} {FEW} patients {peaks[0] >> 20:4d} MiB, {MANY} patients {peaks[1] >> 20:4d} MiB: "
                f"{peaks[1] / peaks[0]:.2f} of the memory for {MANY // FEW} times the images"
            )


def _peak_of_export(folder: Path, layout: str, words: list[str]) -> int:
    """Bytes that an export in a process of its own held at most."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        out = Path(name) / "Dataset001_Bench"
        options = ["--config", str(folder / "annogate.toml"), "--data-dir", str(folder / "data"), "--all-slices"]
        pictures = layout in ("coco", "yolo", "yolo-seg", "png")
        ended, peak = peak_memory.run(
            "service.cli",
            *("export", "dataset", "--format", layout, "--out", str(out), "--json", *words),
            *(options if pictures else options[:-1]),
        )
    if ended.returncode:
        raise RuntimeError(ended.stdout + ended.stderr)
    return peak


def main(slices: int) -> None:
    """Both."""
    of_a_series(slices)
    of_datasets()


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        begun = time.process_time()
        WAYS[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))
        print(time.process_time() - begun)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else SLICES)
