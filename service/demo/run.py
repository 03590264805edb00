"""The main job, end to end, through real sockets: push a study, wait for what comes back, and look at all of it."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicom_nodes.outgoing_object import OutgoingObject
from dicom_nodes.peer import PeerAddress
from dicom_nodes.requestor import RequestorSettings
from dicom_nodes.sender import store
from service.demo.gateway_client import DICOM_JSON, GatewayClient
from service.demo.identity_search import tokens_left, tokens_of
from service.demo.phantom import NoduleTruth, generate_phantom
from service.demo.report import DemoReport, FoundNodule, ObjectOut
from service.errors import GatewayError, InstanceUnreadable

STUDY_QUIET_S = 5
PATIENCE_S = 1800.0
LOOK_S = 0.1
PHANTOM_ANNOTATORS = ("lungs", "nodules")
STUDY_ANNOTATORS = ("lungs", "nodules", "bones", "hotspots")
ENDED = ("done", "refused", "failed")
USUAL_PORTS = {"http": 8080, "dicom": 11112}

Progress = Callable[[str, int, int], None]
"""Told how far a step is: its name, how much is done, how much there is."""


@dataclass
class Demonstration:
    """One demonstration on a data directory of its own.

    Parameters
    ----------
    study : a folder of DICOM files; None generates a phantom
    """

    study: Path | None
    seed: int
    progress: Progress
    report: DemoReport = field(default_factory=DemoReport)
    _truths: tuple[NoduleTruth, ...] = ()
    _tokens: Sequence[str] = ()

    @contextmanager
    def run(self) -> Iterator[DemoReport]:
        """Do everything and give the report; the gateway serves until the context ends.

        Raises
        ------
        GatewayError : a step failed; says which and why
        """
        with tempfile.TemporaryDirectory(prefix="annogate-demo-") as name:
            folder = Path(name)
            with self._step("generate" if self.study is None else "read"):
                files = self._files(folder / "study")
            with self._gateway(folder) as (client, peer):
                with self._step("send"):
                    self.report.instances_in = self._send(files, peer)
                with self._step("ingest"):
                    self._await_ingest(client)
                with self._step("annotate"):
                    self._await_results(client)
                with self._step("retrieve"):
                    served = self._retrieve(client)
                with self._step("search"):
                    self.report.identity_left = tokens_left(self._tokens, served, folder / "data")
                yield self.report

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.progress(name, 0, 0)
        yield
        self.report.seconds[name] = time.monotonic() - started

    def _files(self, folder: Path) -> list[Path]:
        if self.study is not None:
            files = sorted(path for path in self.study.rglob("*") if path.is_file())
            self._tokens = tokens_of(files)
            self.report.searched = len(self._tokens)
            return files
        folder.mkdir()
        phantom = generate_phantom(self.seed, folder)
        self._truths = phantom.nodules
        self._tokens = phantom.planted
        self.report.truths = len(phantom.nodules)
        self.report.searched = len(phantom.planted)
        return list(phantom.files)

    @contextmanager
    def _gateway(self, folder: Path) -> Iterator[tuple[GatewayClient, PeerAddress]]:
        annotators = PHANTOM_ANNOTATORS if self.study is None else STUDY_ANNOTATORS
        config = folder / "annogate.toml"
        config.write_text(
            "[projects.default]\n"
            f"annotators = [{', '.join(repr(name) for name in annotators)}]\n"
            f"study_quiet_s = {STUDY_QUIET_S}\n"
            "[log]\nlevel = 'warning'\n"
        )
        command = [sys.executable, "-m", "service.cli", "serve", "--config", str(config)]
        command += ["--data-dir", str(folder / "data")]
        with self._step("start"):
            process, addresses = _started(command, {name: _free_or_any(name) for name in USUAL_PORTS})
            if not addresses:
                # Somebody else may have taken a usual port between our look and the gateway's.
                process, addresses = _started(command, dict.fromkeys(USUAL_PORTS, 0))
        try:
            if not addresses:
                raise GatewayError("the gateway did not start; it says why above")
            title, _, place = addresses["dicom"].partition("@")
            host, _, port = place.rpartition(":")
            self.report.addresses = {
                "dashboard": f"{addresses['http']}/",
                "viewer": f"{addresses['http']}/viewer/",
                "dicomweb": f"{addresses['http']}/dicom-web",
                "api": f"{addresses['http']}/api/docs",
                "dicom": addresses["dicom"],
            }
            yield GatewayClient(addresses["http"]), PeerAddress(title, host, int(port))
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _send(self, files: Sequence[Path], peer: PeerAddress) -> int:
        objects = []
        for file in files:
            try:
                objects.append(OutgoingObject.from_file(file))
            except InstanceUnreadable as error:
                self.report.notes.append(f"{file.name} is not sent: {error}")
        if not objects:
            raise GatewayError("there is no DICOM file to send")
        stored = 0
        for count, result in enumerate(store(peer, objects, RequestorSettings(calling_ae_title="DEMO")), start=1):
            self.progress("send", count, len(objects))
            if result.stored:
                stored += 1
            else:
                self.report.problems.append(f"an object was not stored: {result.comment or result.status}")
        return stored

    def _await_ingest(self, client: GatewayClient) -> None:
        """Wait until the spool is drained: nothing is on its way any more."""

        def drained() -> bool:
            status = client.json("/api/v1/status")
            done = sum(row["count"] for row in status["instances"])
            waiting = sum(row["count"] for row in status["intake"] if row["state"] == "received")
            held = sum(row["count"] for row in status["quarantine"])
            self.progress("ingest", min(done + held, self.report.instances_in), self.report.instances_in)
            return bool(done + held >= self.report.instances_in and waiting == 0)

        _until(drained, "ingest")
        counted = {row["state"]: row["count"] for row in client.json("/api/v1/status")["counters"]}
        self.report.elements_removed = counted.get("elements removed", 0)
        self.report.elements_replaced = counted.get("elements replaced", 0)

    def _await_results(self, client: GatewayClient) -> None:
        """Wait until every study is complete and every annotator has ended."""

        def ended() -> bool:
            studies = client.json("/api/v1/studies")["studies"]
            details = [client.json(_study_path(study["study_uid"])) for study in studies]
            runs = [run for detail in details for run in detail["runs"]]
            self.progress("annotate", sum(run["state"] in ENDED for run in runs), len(runs))
            complete = bool(details) and all(detail["state"] == "complete" for detail in details)
            self.report.runs = runs
            return complete and all(run["state"] in ENDED for run in runs)

        _until(ended, "the annotators")
        studies = client.json("/api/v1/studies")["studies"]
        self.report.study_uid = max(studies, key=lambda study: int(study["images"]))["study_uid"]
        self.report.findings = [
            self._found(finding)
            for run in self.report.runs
            if run["annotator"] == "nodules"
            for finding in run["findings"]
        ]
        self.report.problems += [
            f"{run['annotator']}: {run['reason']}" for run in self.report.runs if run["state"] == "failed"
        ]

    def _found(self, finding: dict[str, Any]) -> FoundNodule:
        truth = self._truth_at(finding["centre_mm"])
        return FoundNodule(
            label=finding["label"],
            long_axis_mm=finding["long_axis_mm"],
            truth_mm=truth.long_axis_mm if truth else None,
            volume_mm3=finding["volume_mm3"],
            truth_mm3=truth.volume_mm3 if truth else None,
            confidence=finding["confidence"],
        )

    def _truth_at(self, centre_mm: Sequence[float]) -> NoduleTruth | None:
        """The planted nodule that a finding lies in, if any."""
        near = [truth for truth in self._truths if math.dist(truth.centre_mm, centre_mm) <= truth.radius_mm]
        return min(near, key=lambda truth: math.dist(truth.centre_mm, centre_mm), default=None)

    def _retrieve(self, client: GatewayClient) -> Iterator[bytes]:
        """Everything that the gateway serves, as it is asked for by a viewer or a script."""
        bodies = [client.raw(f"/dicom-web/{level}", DICOM_JSON) for level in ("studies", "series", "instances")]
        for study in client.search("/studies"):
            study_uid = _value(study, "0020000D")
            detail = client.json(_study_path(study_uid))
            self.report.instances_served += sum(
                series["instances"] for series in detail["series"] if "image" in series["kinds"]
            )
            self.report.objects_out += [
                ObjectOut(**{name: made[name] for name in ObjectOut.__slots__}) for made in detail["results"]
            ]
            bodies.append(json.dumps(detail).encode())
            bodies.append(client.raw(f"/dicom-web/studies/{study_uid}/metadata", DICOM_JSON))
            bodies += client.instances(f"/studies/{study_uid}")
        return iter(bodies)


def _started(command: Sequence[str], ports: Mapping[str, int]) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A gateway's process and the addresses of its ready line; none, and the process ended, where it did not start."""
    places = [part for name, port in ports.items() for part in (f"--{name}", f"127.0.0.1:{port}")]
    # A session of its own: Ctrl-C reaches the demonstration, which ends the gateway in its turn.
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [*command, *places], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None  # noqa: S101 (asked for)
    try:
        line = process.stdout.readline()
    except BaseException:  # ended while it waits
        process.terminate()
        process.wait()
        process.stdout.close()
        raise
    if not line:
        process.wait()
        process.stdout.close()
    return process, dict(part.split("=", 1) for part in line.split()[1:])


def _until(done: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        asked = time.monotonic()
        if done():
            return
        took = time.monotonic() - asked
        if asked > until:
            raise GatewayError(f"{what} did not end within {PATIENCE_S:.0f} s")
        # Between questions to another process, which has no way to call back; where answers are slow, the machine is
        # busy with what is waited for.
        time.sleep(max(LOOK_S, 4 * took))


def _study_path(study_uid: str) -> str:
    return f"/api/v1/projects/default/studies/{study_uid}"


def _value(found: dict[str, Any], tag: str) -> str:
    values = found.get(tag, {}).get("Value", [])
    return str(values[0]) if values else ""


def _free_or_any(name: str) -> int:
    """The usual port where nobody listens on it, and any free one otherwise."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORTS[name]))
        except OSError:
            return 0
    return USUAL_PORTS[name]
