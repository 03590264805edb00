"""The main job on every CT and PET study beside the project: pushed, cleaned, marked, checked and served."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from service.core.stored_pixels import decode_pixels
from service.core.volume_building import build_volumes
from service.objects.validation import Severity, validate
from tests.gateway_process import GatewayProcess, eventually
from tests.reader_contours import dice, drawn_region, marked_regions
from tests.real_files import Identity, header_of, reading_leniently, studies_of
from tests.real_gateway import RealGateway, data_set_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
    pytest.mark.real_data,
    pytest.mark.long,
    pytest.mark.peer("dcmtk"),
    pytest.mark.xdist_group("real-main-job"),
]

ANNOTATORS = ["lungs", "nodules", "bones", "hotspots"]
ENDED = {"done", "refused", "failed"}
NOTHING: dict[str, str] = {}
NO_LUNGS = {"lungs": "No lung found", "nodules": "No lung found", "bones": "piece"}
UNEVEN = r"refused: 18 of 18 slices: slices lie between 1\.08 and 7\.00 mm apart; a volume needs even spacing"
GAP = r"refused: .* the first after slice 1 of 4: a gap of 202\.50 mm where slices are 1\.25 mm apart"
FEW = r"refused: .*\b\d slices? (is|are) too few: at least 8 are needed"
FEW_AND_BONE = {"lungs": FEW, "nodules": FEW, "bones": "piece"}
FEW_NO_BONE = FEW_AND_BONE | {"bones": "No bone found"}
NO_CT_NUMBERS = "refused: .*the voxel values are not Hounsfield units of a CT"

# By the first file of each series: how each annotator's run ended, as a pattern of what it found or why it refused.
# An annotator that is not named did not match.
EXPECTED = {
    "ct-gantry-tilt/I0010.dcm": NO_LUNGS,
    "ct-irregular-ge/11.dcm": {"lungs": UNEVEN, "nodules": UNEVEN, "bones": UNEVEN},
    "ct-phantom-philips/exam-summary/I0010.dcm": NOTHING,
    "ct-phantom-philips/std-5mm/I0010.dcm": NO_LUNGS,
    "ct-phantom-philips/thin-1mm/I0310.dcm": NO_LUNGS,
    "ct-phantom-philips/topogram/I0010.dcm": NOTHING,
    "dicomdir/77654033/CT2/17106": {"lungs": GAP, "nodules": GAP, "bones": GAP},
    "dicomdir/98892001/CT2N/6293": NOTHING,
    "dicomdir/98892001/CT5N/2062": FEW_NO_BONE,
    "digital-phantom-ibsi2/orientation/000.dcm": NO_LUNGS | {"bones": "No bone found"},
    "digital-phantom-ibsi2/sphere/000.dcm": NO_LUNGS,
    "enhanced-multiframe/eCT_Supplemental.dcm": dict.fromkeys(["lungs", "nodules", "bones"], NO_CT_NUMBERS),
    "petct-sts/STS_001/CT/000000.dcm": NO_LUNGS,
    "petct-sts/STS_001/PET/000000.dcm": {"hotspots": r"\d hotspots"},
    "petct-sts/STS_022/CT/000000.dcm": NO_LUNGS,
    "petct-sts/STS_022/PET/000000.dcm": {"hotspots": r"\d hotspots"},
    "seg-sr-dcmqi/liver/ct-3slice/01.dcm": FEW_AND_BONE,
    "seg-sr-dcmqi/small-23x38x3/IMG0001.dcm": FEW_NO_BONE,
    "seg-sr-dcmqi/small-23x38x3/mf.dcm": FEW_NO_BONE,
    "seg-sr-dcmqi/small-24x38x3/IMG0001.dcm": FEW_NO_BONE,
    "seg-sr-dcmqi/small-24x38x3/mf.dcm": FEW_NO_BONE,
    "seg-sr-highdicom/ct_image.dcm": FEW_AND_BONE,
    "transfer-syntax/ct-one-image/BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm": FEW_AND_BONE,
    "transfer-syntax/fragments/CT1_UNC.explicit_little_endian.dcm": FEW_AND_BONE,
}


@dataclass
class Study:
    """A study as it was sent, and what came of it."""

    original_uid: str
    paths: list[Path]
    detail: dict[str, Any] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)


@dataclass
class MainJob:
    """All studies, sent into one gateway and taken out again."""

    root: Path
    folder: Path
    gateway: RealGateway
    studies: list[Study]
    acknowledged: set[Path] = field(default_factory=set)

    def run(self) -> None:
        for study in self.studies:
            self.acknowledged |= set(self.gateway.push(study.paths, "ANNOGATE"))
        self.gateway.drain("default")
        new_uid = self.gateway.new_uids("default").new_uid
        for study in self.studies:
            place = f"/studies/{new_uid(study.original_uid)}"
            study.detail = eventually(lambda place=place: self._ended(place), what="ended runs")
            contents = self.gateway.retrieve("default", place)
            study.served = {str(data_set_of(content).SOPInstanceUID): content for content in contents}

    def _ended(self, place: str) -> dict[str, Any]:
        detail = self.gateway.process.api(f"/projects/default{place}")
        over = detail["state"] == "complete" and all(run["state"] in ENDED for run in detail["runs"])
        return detail if over else {}

    def series_of(self, study: Study) -> dict[str, str]:
        """The Series Instance UIDs of CT and PET images, as served, by their first files."""
        new_uid, named = self.gateway.new_uids("default").new_uid, {}
        for path in study.paths:
            header = header_of(path)
            if header is not None and header.get("Modality") in ("CT", "PT") and path in self.acknowledged:
                named.setdefault(new_uid(str(header.SeriesInstanceUID)), str(path.relative_to(self.root)))
        return {name: uid for uid, name in named.items()}


@pytest.fixture(scope="module", autouse=True)
def lenient() -> Iterator[None]:
    with reading_leniently():
        yield


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[MainJob]:
    folder = tmp_path_factory.mktemp("main-job")
    project = {"ae_titles": ["ANNOGATE"], "annotators": ANNOTATORS, "study_quiet_s": 2.0}
    with GatewayProcess(folder / "gateway", {"projects": {"default": project}}) as process:
        studies = [Study(uid, paths) for uid, paths in studies_of(shared_data, ["CT", "PT"]).items()]
        made = MainJob(shared_data, folder, RealGateway(process), studies)
        made.run()
        yield made


def results_of(study: Study) -> dict[str, Dataset]:
    return {made["sop_instance_uid"]: data_set_of(study.served[made["sop_instance_uid"]])
            for made in study.detail["results"]}  # fmt: skip


def test_every_object_is_acknowledged(job: MainJob) -> None:
    assert [p.name for study in job.studies for p in study.paths if p not in job.acknowledged] == []


def test_every_instance_is_listed_and_served_once(job: MainJob) -> None:
    new_uid = job.gateway.new_uids("default").new_uid
    held = job.gateway.process.api("/quarantine?project=default&limit=1000")["entries"]
    listed = job.gateway.instances("default")
    sent = {new_uid(str(header_of(p).SOPInstanceUID)): p for study in job.studies for p in study.paths}
    made = {one["sop_instance_uid"] for study in job.studies for one in study.detail["results"]}
    served = {uid for study in job.studies for uid in study.served}
    assert sorted(sent[uid].name for uid in sent.keys() - listed.keys()) == []
    assert sorted(entry["reason"] for entry in held) == []
    assert listed.keys() == served == (sent.keys() & listed.keys()) | made


def test_no_identity_is_left_in_what_is_served(job: MainJob) -> None:
    uids = Identity.of(header_of(path) for study in job.studies for path in study.paths).uids
    for study in job.studies:
        identity = Identity(Identity.of(map(header_of, study.paths)).words, uids)
        bodies = [*study.served.values(), metadata_of(job, study)]
        found = [len(left) for body in bodies if (left := identity.left_in(body))]
        assert found == [], study.paths[0].parent


def metadata_of(job: MainJob, study: Study) -> bytes:
    return job.gateway.process.get(f"/dicom-web/studies/{study.detail['study_uid']}/metadata").content


def contents_below(folder: Path) -> dict[str, bytes] | None:
    """Every file's bytes by its name; None where one went away meanwhile, perhaps to another name."""
    try:
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    except FileNotFoundError:
        return None


def test_no_identity_is_left_in_any_file_of_the_gateway(job: MainJob) -> None:
    identity = Identity.of(header_of(path) for study in job.studies for path in study.paths)
    contents = eventually(lambda: contents_below(job.gateway.process.folder), what="files at rest")
    assert [name for name, content in contents.items() if identity.left_in(content)] == []


def test_every_series_is_expected(job: MainJob) -> None:
    assert {name for study in job.studies for name in job.series_of(study)} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_annotator_says_what_it_found_or_why_it_refused(job: MainJob, name: str) -> None:
    (study,) = (study for study in job.studies if name in job.series_of(study))
    series_uid = job.series_of(study)[name]
    ended = {
        run["annotator"]: run["summary"] if run["state"] == "done" else f"{run['state']}: {run['reason']}"
        for run in study.detail["runs"]
        if run["series_uid"] == series_uid
    }
    assert ended.keys() == EXPECTED[name].keys()
    assert [words for who, words in ended.items() if not re.search(EXPECTED[name][who], words)] == []


def test_each_run_that_is_done_has_its_report(job: MainJob) -> None:
    for study in job.studies:
        done = [run for run in study.detail["runs"] if run["state"] == "done"]
        reports = [made for made in study.detail["results"] if made["modality"] == "SR"]
        assert len(reports) >= len(done)
        with_masks = {run["annotator"] for run in done if run["findings"]}
        assert {made["annotator"] for made in study.detail["results"] if made["modality"] == "SEG"} == with_masks


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_finds_no_error_in_any_result(job: MainJob, tmp_path: Path) -> None:
    errors = defaultdict(list)
    judged = 0
    for study in job.studies:
        for uid in results_of(study):
            path = tmp_path / f"{uid}.dcm"
            path.write_bytes(study.served[uid])
            told = subprocess.run(["/usr/bin/dciodvfy", str(path)], capture_output=True, text=True, check=False)
            lines = (told.stdout + told.stderr).splitlines()
            assert lines, "dciodvfy names the IOD at least"
            judged += 1
            errors[str(study.paths[0].parent)] += [line for line in lines if line.startswith("Error")]
    assert judged > 40
    assert {place: lines for place, lines in errors.items() if lines} == {}


def test_our_own_rules_find_no_error_in_any_result(job: MainJob) -> None:
    for study in job.studies:
        results = results_of(study)
        sources = [data_set_of(content) for uid, content in study.served.items() if uid not in results]
        for made in results.values():
            problems = validate(made, sources=sources, referenced=list(results.values()))
            assert [problem for problem in problems if problem.severity is Severity.ERROR] == []


@pytest.mark.parametrize("patient", ["STS_001", "STS_022"])
def test_overlap_of_hotspots_with_the_readers_contours_is_as_documented(
    job: MainJob, repository: Path, patient: str
) -> None:
    measured = overlap(job, patient)
    row = re.search(rf"^\| {patient} \| ([\d.]+) \| ([\d.]+) \|", (repository / "docs/annotators.md").read_text(), re.M)
    assert row, f"docs/annotators.md has no row for {patient}; measured: {measured}"
    assert measured == pytest.approx([float(row[1]), float(row[2])], abs=0.01)


def overlap(job: MainJob, patient: str) -> list[float]:
    """Dice of all hotspots together, and of those alone that touch what the readers drew."""
    folder = job.root / "petct-sts" / patient
    (study,) = (study for study in job.studies if folder / "PET" / "000000.dcm" in study.paths)
    new_uid = job.gateway.new_uids("default").new_uid
    drawn = data_set_of(study.served[new_uid(str(header_of(folder / "rtstruct-relinked" / "PET.dcm").SOPInstanceUID))])
    images = [made for made in map(data_set_of, study.served.values()) if made.SOPClassUID.name.startswith("Positron")]
    (volume,) = build_volumes(images, lambda number: decode_pixels(images[number])).volumes
    (segmentation,) = (
        data_set_of(study.served[made["sop_instance_uid"]])
        for made in study.detail["results"]
        if (made["annotator"], made["modality"]) == ("hotspots", "SEG")
    )
    tumour = drawn_region(drawn, volume)
    pieces = marked_regions(segmentation, volume)
    touching = [piece for piece in pieces if (piece & tumour).any()]
    return [dice(sum(pieces) > 0, tumour), dice(sum(touching) > 0, tumour)]
