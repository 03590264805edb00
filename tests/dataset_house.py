"""A whole gateway over a folder with marked studies in it, to export from and to import into."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from service.bootstrap import Gateway
from service.cli.root import annogate
from service.core.archived import InstanceRow
from service.core.findings import Finding
from service.core.records import Incoming, Outcome
from service.core.series_images import SeriesImages
from service.core.volume import Volume
from service.core.volume_slices import open_volumes
from service.log import configure_logging
from service.settings import load_settings
from tests.datasets import ct_slice, encode
from tests.fakes.fixed_annotator import FixedAnnotator
from tests.volumes import AXIAL

CONFIGURATION = """
[projects.default]
ae_titles = ["ANNOGATE"]
[projects.clinic]
ae_titles = ["CLINIC"]
deidentify = "none"
[storage]
disk_reserve_gib = 0
"""
QUIET_S = 61.0


def ct_series(
    number: int = 1,
    *,
    patient_id: str = "PAT-4711",
    slices: int = 6,
    rows: int = 16,
    columns: int = 20,
    orientation: Sequence[float] = AXIAL,
    spacing_mm: tuple[float, float] = (0.8, 0.7),
    step_mm: Sequence[float] = (0.0, 0.0, 2.5),
    study: int | None = None,
    **attributes: Any,
) -> list[Dataset]:
    """CT slices of random values, each a step further than the one before; ``number`` makes other UIDs and values."""
    random = np.random.default_rng(number)
    study_uid = f"1.2.826.0.1.3680043.8.498.{7 * (study or number)}"
    series = []
    for place in range(1, slices + 1):
        pixels = random.integers(-1000, 1500, (rows, columns), dtype=np.int16)
        one = ct_slice(
            place,
            study_uid=study_uid,
            series_uid=f"{study_uid}.{number}",
            patient_id=patient_id,
            rows=rows,
            columns=columns,
            pixels=pixels,
        )
        one.ImageOrientationPatient = list(orientation)
        one.PixelSpacing = list(spacing_mm)
        one.ImagePositionPatient = [round(-40 + place * step, 6) for step in step_mm]
        for keyword, value in attributes.items():
            setattr(one, keyword, value)
        series.append(one)
    return series


class DatasetHouse:
    """Project ``default`` de-identifies, ``clinic`` keeps objects as they come; ``nodules`` finds what it is told to.

    Parameters
    ----------
    find : what the annotator finds in each volume
    """

    def __init__(self, folder: Path, find: Callable[[Volume], Sequence[Finding]] = lambda volume: ()) -> None:
        self.folder = folder
        # Commands have a gateway of their own, whose time is the real one.
        self.now = time.time()
        self.uids: dict[str, str] = {}
        """Studies as served, by the names that a test gives them."""
        self.settings = load_settings(
            environ={},
            overrides={
                "storage": {"data_dir": str(folder / "data"), "disk_reserve_gib": 0},
                "projects": {
                    "default": {"ae_titles": ["ANNOGATE"]},
                    "clinic": {"ae_titles": ["CLINIC"], "deidentify": "none"},
                },
            },
        )
        self.gateway = Gateway(self.settings, lambda: self.now)
        self.gateway.annotators = {"nodules": FixedAnnotator(find, name="nodules")}
        self.gateway.prepare()

    def close(self) -> None:
        self.gateway.close()

    def receive(self, data_sets: Sequence[Dataset], project: str = "default", **fields: Any) -> list[Outcome]:
        """Take objects in as a node would."""
        return self.gateway.pipeline.process_batch([self._incoming(one, project, fields) for one in data_sets])

    def _incoming(self, data_set: Dataset, project: str, fields: dict[str, Any]) -> Incoming:
        given = {
            "project": project,
            "sop_class_uid": "",
            "sop_instance_uid": "",
            "transfer_syntax_uid": str(ExplicitVRLittleEndian),
            "data_set": encode(data_set),
            "source": "dimse",
            "calling_ae_title": "SCANNER",
            "peer_address": "127.0.0.1",
            "received_at": self.now,
        }
        return Incoming(**(given | fields))

    def complete(self) -> None:
        """Let studies become complete, and the annotator look at them."""
        self.now += QUIET_S
        self.gateway.study_watch.complete_due()
        while (run := self.gateway.runs.lease("worker", 60.0)) is not None:
            self.gateway.annotation_run.execute(run, "worker")

    def study(self, data_sets: Sequence[Dataset], project: str = "default") -> str:
        """A study, received and looked at; its UID as served."""
        outcomes = self.receive(data_sets, project)
        self.complete()
        return outcomes[0].study_uid

    def images(self, study_uid: str, project: str = "default") -> list[InstanceRow]:
        return [row for row in self.gateway.instances.instances_of(project, study_uid) if row.kind == "image"]

    def volume(self, study_uid: str, project: str = "default") -> Volume:
        """The one volume of a study."""
        images = SeriesImages(self.gateway.blobs, self.images(study_uid, project))
        (volume,) = open_volumes(images.headers(), images.pixels).volumes
        return volume.whole()

    def results(self, study_uid: str, project: str = "default") -> list[InstanceRow]:
        return [row for row in self.gateway.instances.instances_of(project, study_uid) if row.kind != "image"]

    def calls(self, *words: str) -> Result:
        """Run a command over the same data as `service.cli.main` does; the gateway goes on afterwards."""
        configure_logging("warning", "text", "annogate")
        configuration = self.folder / "annogate.toml"
        configuration.write_text(CONFIGURATION)
        options = ["--config", str(configuration), "--data-dir", str(self.folder / "data")]
        return CliRunner().invoke(annogate, [*words, *options])

    def exported(self, layout: str, *words: str, name: str = "out") -> Path:
        """A dataset of the project; its folder."""
        self.export(layout, *words, name=name)
        return self.folder / name

    def export(self, layout: str, *words: str, name: str = "out", exit_code: int = 0) -> dict[str, Any]:
        """What an export says of itself."""
        out = str(self.folder / name)
        answer = self.calls("export", "dataset", "--format", layout, "--out", out, "--json", *words)
        assert answer.exit_code == exit_code, (answer.output, answer.exception)
        return json.loads(answer.stdout)
