"""De-identification of headers beside pydicom, dicom-anonymizer and dicognito: ``python -m benchmarks.deid [FOLDER]``.

CPU time for each file, in alternation round by round, of reading a CT image of 0.5 MB, cleaning it and writing it
again. Ours makes the cached DICOM JSON and the sealed way back as well; the others do neither. Only the ratios of one
run mean anything. The folder may hold real images; without one a series is generated. The two other tools come with
``pip install annogate[bench]``; without them they are left out.

``python -m benchmarks.deid --workers [FOLDER]`` compares two processes with one and shows what memory a worker holds.
"""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from service.archive.metadata_cache import encode
from service.core.pydicom_reading import read_leniently
from service.deident.deidentifier import Deidentifier
from service.deident.keys import KeyFile
from service.deident.profile import load_profile
from service.deident.vault import Vault
from service.ingest.parsing import parse
from service.ingest.part10 import read_file
from service.ingest.stored_file import cleaned_file
from tests.ct_series import write_ct_series

PROFILES = Path(__file__).parents[1] / "config" / "profiles"
FILES = 40
ROUNDS = 7
WORKER_SECONDS = 6.0

Work = Callable[[Path, Path], None]


def scanner_attributes() -> dict[str, object]:
    """What scanners send beside what every CT image has: about a hundred elements, sequences among them."""
    values: dict[str, object] = {
        "InstanceCreationDate": "20240312",
        "InstanceCreationTime": "101501.123",
        "InstitutionName": "Hospital Planted",
        "InstitutionAddress": "Street 1",
        "StationName": "CT01",
        "InstitutionalDepartmentName": "Radiology",
        "OperatorsName": "Operator^Planted",
        "ManufacturerModelName": "Model 64",
        "PatientAge": "064Y",
        "PatientSize": "1.75",
        "PatientWeight": "72",
        "ScanOptions": "HELICAL MODE",
        "DataCollectionDiameter": "500",
        "DeviceSerialNumber": "12345",
        "SoftwareVersions": "syngo CT 2012B",
        "ProtocolName": "Thorax routine",
        "ReconstructionDiameter": "350",
        "DistanceSourceToDetector": "1040",
        "DistanceSourceToPatient": "570",
        "GantryDetectorTilt": "0",
        "TableHeight": "150",
        "RotationDirection": "CW",
        "ExposureTime": "500",
        "XRayTubeCurrent": "220",
        "Exposure": "110",
        "FilterType": "0",
        "GeneratorPower": "26",
        "FocalSpots": "1.2",
        "DateOfLastCalibration": "20240311",
        "TimeOfLastCalibration": "063000",
        "ConvolutionKernel": "B31f",
        "SingleCollimationWidth": 0.6,
        "TotalCollimationWidth": 38.4,
        "TableSpeed": 46.0,
        "TableFeedPerRotation": 23.0,
        "SpiralPitchFactor": 0.6,
        "ExposureModulationType": "XYZ_EC",
        "EstimatedDoseSaving": 12.0,
        "CTDIvol": 7.4,
        "ImageComments": "",
        "SliceLocation": "0",
        "WindowCenterWidthExplanation": "WINDOW1",
        "RequestingPhysician": "Requester^Planted",
        "RequestedProcedureDescription": "CT thorax with contrast",
        "PerformedProcedureStepStartDate": "20240312",
        "PerformedProcedureStepStartTime": "101300",
        "PerformedProcedureStepID": "PPS-1",
        "PerformedProcedureStepDescription": "CT thorax",
        "ContrastBolusAgent": "Agent",
        "ContrastBolusRoute": "IV",
        "ContrastBolusVolume": "80",
        "SmallestImagePixelValue": -1024,
        "LargestImagePixelValue": 3071,
    }
    return values | {"ReferencedImageSequence": _references(), "RequestAttributesSequence": _request()}


def _references() -> Sequence:
    items = []
    for _ in range(2):
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item.ReferencedSOPInstanceUID = generate_uid()
        items.append(item)
    return Sequence(items)


def _request() -> Sequence:
    code, item = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "CT Chest"
    item.RequestedProcedureDescription = "CT thorax"
    item.ScheduledProcedureStepID = "SPS-1"
    item.ScheduledProtocolCodeSequence = Sequence([code])
    return Sequence([item])


def generated(folder: Path) -> list[Path]:
    """A series with private blocks as scanners write them."""
    files = write_ct_series(folder, FILES, **scanner_attributes())
    for number, file in enumerate(files):
        image = dcmread(file)
        for group, creator in ((0x0019, "MAKER CT ACQ 1"), (0x0021, "MAKER CT REC 1"), (0x0029, "MAKER HEADER 1")):
            block = image.private_block(group, creator, create=True)
            for element in range(5):
                block.add_new(element, "LO", f"value {element} of {number}")
            block.add_new(0x10, "OB", bytes(1024))
        image.ContentTime = f"1015{number:02d}.500000"
        image.save_as(file)
    return files


def real(source: Path, folder: Path) -> list[Path]:
    """The CT images below a folder, their pixels as they would come from a scanner: not compressed, 0.5 MB."""
    folder.mkdir()
    files = []
    for file in sorted(source.rglob("*.dcm"))[:FILES]:
        image = dcmread(file)
        if image.file_meta.TransferSyntaxUID.is_compressed:
            image.decompress(generate_instance_uid=False)
        files.append(folder / f"{len(files):04d}.dcm")
        image.save_as(files[-1])
    return files


def other_patients(files: list[Path], folder: Path) -> list[Path]:
    """The same images, each of another patient, study and series: nothing seen before helps."""
    folder.mkdir()
    strangers = []
    for number, file in enumerate(files):
        image = dcmread(file)
        image.PatientID, image.PatientName = f"ID-{number}-PLANTED", f"Planted{number}^Identity"
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        strangers.append(folder / file.name)
        image.save_as(strangers[-1])
    return strangers


class Ours:
    """The gateway's own way from the bytes of a file to what it keeps of it."""

    def __init__(self, profile: str = "default") -> None:
        keys = KeyFile.ephemeral()
        self._deidentifier = Deidentifier(load_profile(PROFILES, profile), keys.project_keys("p"), Vault(keys, "p"))

    def __call__(self, source: Path, target: Path) -> None:
        """Read, parse, clean, write; with the cached DICOM JSON."""
        file = read_file(source.read_bytes())
        parsed = parse(file.data_set, file.transfer_syntax_uid, sop_class_uid=file.sop_class_uid)
        cleaned = self._deidentifier.clean(parsed.header)
        stored = cleaned_file(parsed, cleaned.data_set, "ANNOGATE", encoded=cleaned.encoded)
        encode(cleaned.data_set, pixels=stored.pixels)
        with target.open("wb") as out:
            out.writelines(stored.content())


def pydicom_alone(source: Path, target: Path) -> None:
    """Read and write, nothing else."""
    dcmread(source).save_as(target)


def contestants() -> dict[str, Work]:
    """Everything that is installed, pydicom first."""
    works: dict[str, Work] = {"pydicom read and write": pydicom_alone, "ours": Ours()}
    try:
        from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file

        works["dicom-anonymizer"] = lambda source, target: anonymize_dicom_file(str(source), str(target))
    except ImportError:
        print("dicom-anonymizer is not installed")
    try:
        from dicognito.anonymizer import Anonymizer

        anonymizer = Anonymizer()

        def dicognito(source: Path, target: Path) -> None:
            image = dcmread(source)
            anonymizer.anonymize(image)
            image.save_as(target)

        works["dicognito"] = dicognito
    except ImportError:
        print("dicognito is not installed")
    return works


def compare(title: str, files: list[Path], target: Path) -> None:
    """Milliseconds of CPU for a file, the median round of each, and what ours takes of it."""
    works = contestants()
    rounds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + 1):
        if "cold" in title:
            works["ours"] = Ours()
        for name, work in works.items():
            start = time.process_time()
            for file in files:
                work(file, target)
            if number:  # the first round fills caches of every kind
                rounds[name].append((time.process_time() - start) * 1e3 / len(files))
    print(title)
    for name, times in rounds.items():
        ratios = [mine / other for mine, other in zip(rounds["ours"], times, strict=True)]
        print(f"  {name:<26}{statistics.median(times):8.3f} ms   ours takes {statistics.median(ratios):5.2f} ×")


def work_for_a_while(files: list[Path], target: Path) -> None:
    """Clean files over and over for some seconds and print objects a second and the memory held."""
    ours = Ours()
    for file in files:
        ours(file, target)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < WORKER_SECONDS:
        ours(files[done % len(files)], target)
        done += 1
    rate = done / (time.perf_counter() - start)
    rollup = Path("/proc/self/smaps_rollup").read_text()
    pss = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
    print(f"{rate} {int(pss) / 1024}")


def scale(folder: Path, target: Path) -> None:
    """One worker, then two at once."""
    rates = {}
    for workers in (1, 2, 1, 2):
        command = [sys.executable, "-m", "benchmarks.deid", "--worker", str(folder)]
        running = [
            subprocess.Popen([*command, f"{target}-{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for n in range(workers)
        ]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        answers = [process.communicate("go\n")[0].split() for process in running]
        rates[workers] = max(rates.get(workers, 0.0), sum(float(rate) for rate, _ in answers))
        shown = ", ".join(f"{float(rate):.0f} objects/s, PSS {float(pss):.0f} MB" for rate, pss in answers)
        print(f"  {workers} worker(s): {shown}")
    print(f"  two workers do {rates[2] / rates[1]:.2f} times one, on {os.cpu_count()} cores")


def main(arguments: list[str]) -> None:
    """Measure what the arguments ask for."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    read_leniently()
    if arguments[:1] == ["--worker"]:
        work_for_a_while(sorted(Path(arguments[1]).iterdir()), Path(arguments[2]))
        return
    folders = [argument for argument in arguments if not argument.startswith("--")]
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        files = real(Path(folders[0]), room / "series") if folders else generated(room / "series")
        elements = len(dcmread(files[0], stop_before_pixels=True))
        if "--workers" in arguments:
            scale(room / "series", room / "out")
            return
        compare(f"one patient's series, {len(files)} files of {elements} elements", files, room / "out")
        strangers = other_patients(files, room / "strangers")
        compare("cold: every file another patient's, nothing remembered", strangers, room / "out")


if __name__ == "__main__":
    main(sys.argv[1:])
