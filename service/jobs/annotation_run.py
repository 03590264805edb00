"""One run: the images of a series → volumes → findings → objects that hold, stored as results of the study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.errors import GatewayError, StorageExhausted
from service.archive.instances import InstanceIndex
from service.core.annotations import AnnotationSet
from service.core.annotator import Annotator, AnnotatorResult
from service.core.archived import RunRow, RunState, StudyRow
from service.core.deliveries import ANY_FORM, BINARY, LABEL_MAP, SentKind
from service.core.fault_place import fault_place
from service.core.findings import Finding
from service.core.ports import BlobStore
from service.core.series_images import SeriesImages
from service.core.volume import SeriesVolumes, Volume
from service.core.volume_building import build_volumes
from service.errors import InstanceNotFound, KeysMissing, ObjectInvalid, TransferSyntaxNotSupported, VolumeRefused
from service.jobs.findings_json import findings_json
from service.jobs.result_store import ResultStore
from service.jobs.run_end import RunEnd
from service.jobs.run_inputs import images_of, inputs_digest
from service.objects.result_context import ResultContext

_SR_ROOT = "1.2.840.10008.5.1.4.1.1.88."
_FIRST_SERIES_NUMBER = 1001
_HOUSE_TROUBLE = (StorageExhausted, KeysMissing, InstanceNotFound)  # and the base itself

_log = structlog.get_logger("annogate.jobs")


@dataclass(slots=True)
class _Made:
    """What a run made of its volumes; ``left_out`` says what its further objects do not."""

    refused: list[str]
    left_out: list[str] = field(default_factory=list)
    objects: dict[str, list[Dataset]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def add(self, forms: Mapping[str, Sequence[Dataset]]) -> None:
        """What was made of one volume, by form."""
        for form, objects in forms.items():
            self.objects.setdefault(form, []).extend(objects)


class AnnotationRun:
    """Carries out runs, one after the other.

    Parameters
    ----------
    annotators : by name
    further : by project, the kinds of objects that a result is written in beside segmentation and report, since one
        of the project's peers gets them
    shift_days : by project, gives the days by which the dates of a patient, named as served, are moved back; a
        project that keeps identity is not in it
    clock : seconds since the epoch, UTC
    new_uid : makes the UIDs of new objects
    version : of the gateway, as it stands in what is written
    """

    def __init__(
        self,
        *,
        annotators: Mapping[str, Annotator],
        index: InstanceIndex,
        blobs: BlobStore,
        store: ResultStore,
        shift_days: Mapping[str, Callable[[str], int]],
        clock: Callable[[], float],
        new_uid: Callable[[], str],
        version: str,
        further: Mapping[str, Sequence[SentKind]] = MappingProxyType({}),
    ) -> None:
        self._further = further
        self._annotators = annotators
        self._index = index
        self._blobs = blobs
        self._store = store
        self._shift_days = shift_days
        self._clock = clock
        self._new_uid = new_uid
        self._version = version

    def warm_up(self) -> None:
        """Load what is only needed when there is something to write, before that is waited for."""
        import service.objects.validation
        import service.objects.writer

        if any(self._further.values()):
            import service.objects.further_objects  # noqa: F401

    def execute(self, run: RunRow, owner: str) -> RunEnd:
        """Carry out a run that ``owner`` holds a lease on; how it ended stands in its row then.

        Raises
        ------
        GatewayError : the house's own trouble; nothing was stored, and the run is to be tried again
        """
        try:
            return self._carry_out(run, owner)
        except (VolumeRefused, TransferSyntaxNotSupported) as error:
            return self._store.close(run, owner, RunEnd.refused(str(error)))
        except ObjectInvalid as error:
            return self._store.close(run, owner, RunEnd.failed(f"what was written breaks a rule: {error}"))
        except GatewayError as error:
            if isinstance(error, _HOUSE_TROUBLE) or type(error) is GatewayError:
                raise
            return self._store.close(run, owner, RunEnd.failed(str(error)))
        except MemoryError:
            return self._store.close(run, owner, RunEnd.failed("there was not enough memory"))
        except Exception as error:  # noqa: BLE001  # an annotator's fault ends its run, not the worker
            _log.error("run.failed", run=run.id, annotator=run.annotator, error=fault_place(error))
            return self._store.close(run, owner, RunEnd.failed(f"the annotator failed ({type(error).__name__})"))

    def _carry_out(self, run: RunRow, owner: str) -> RunEnd:
        study, made = self._work(run)
        words = "; ".join([*made.refused, *made.left_out])
        end = RunEnd(RunState.DONE, words, "; ".join(made.summaries), findings_json(made.findings))
        return self._store.store(run, owner, end, study, made.objects)

    def _work(self, run: RunRow) -> tuple[StudyRow, _Made]:
        annotator = self._annotators.get(run.annotator)
        if annotator is None:
            raise VolumeRefused(f"there is no annotator {run.annotator} any more")
        study = self._index.study(run.project, run.study_uid)
        rows = images_of(self._index.instances_of(run.project, run.study_uid, run.series_uid))
        if study is None or not rows:
            raise VolumeRefused("the series is not there any more")
        if study.state == "receiving" and inputs_digest(rows, annotator) != run.inputs_digest:
            raise VolumeRefused("images came after the study was complete: a newer run looks at all of them")
        images = SeriesImages(self._blobs, rows)
        volumes = build_volumes(images.headers(), images.pixels)
        return study, self._annotate(run, study, annotator, volumes)

    def _annotate(self, run: RunRow, study: StudyRow, annotator: Annotator, volumes: SeriesVolumes) -> _Made:
        """Mark every volume; one that is refused does not keep the others from their results."""
        made = _Made(list(volumes.refused))
        reports = self._earlier_reports(run)
        number = self._first_free_series_number(run)
        for place, volume in enumerate(volumes.volumes):
            try:
                result = annotator.annotate(volume)
            except VolumeRefused as error:
                made.refused.append(str(error))
                continue
            context = ResultContext(
                created_at=self._created_at(study),
                series_number_base=number + 2 * place,
                uid=self._new_uid,
                version=self._version,
                predecessor=reports[place] if place < len(reports) else None,
            )
            made.add(_write(result, annotator.title, volume, context))
            self._add_further(made, run.project, result, annotator.title, volume, context)
            made.findings += result.findings
            made.summaries.append(result.summary)
        if not made.summaries:
            raise VolumeRefused("; ".join(made.refused) or "the series holds no volume")
        return made

    def _add_further(
        self, made: _Made, project: str, result: AnnotatorResult, title: str, volume: Volume, context: ResultContext
    ) -> None:
        """What the project's peers get beside the result, or in its place."""
        kinds = self._further.get(project, ())
        if not kinds:
            return
        # Loaded here: only a worker that has such objects to write needs them.
        from service.objects.further_objects import write_further_objects
        from service.objects.source_images import SourceImages

        found = AnnotationSet(result.algorithm, tuple(result.findings), summary=result.summary)
        written = write_further_objects(kinds, found, title, SourceImages.of_volume(volume), context)
        made.add({str(kind): objects for kind, objects in written.objects.items()})
        made.left_out += written.left_out

    def _created_at(self, study: StudyRow) -> datetime:
        """Now, moved like the patient's dates: a real date beside a moved one would give the shift away."""
        shift_days = self._shift_days.get(study.project)
        days = 0 if shift_days is None else shift_days(study.patient_id)
        return datetime.fromtimestamp(self._clock()) - timedelta(days=days)  # DA and TM are local

    def _first_free_series_number(self, run: RunRow) -> int:
        numbers = [row.series_number or 0 for row in self._index.series_of(run.project, run.study_uid)]
        return max([_FIRST_SERIES_NUMBER, *(number + 1 for number in numbers)])

    def _earlier_reports(self, run: RunRow) -> Sequence[Dataset]:
        """The reports that this run's take the place of, in their order."""
        rows = [row for row in self._store.earlier_results(run) if row.sop_class_uid.startswith(_SR_ROOT)]
        reports = []
        for row in sorted(rows, key=lambda row: row.id):
            with self._blobs.open(row.blob.key) as stream:
                reports.append(dcmread(stream))
        return reports


def _write(result: AnnotatorResult, title: str, volume: Volume, context: ResultContext) -> dict[str, list[Dataset]]:
    """The objects of one result by form, held against the standard and the viewers' rules.

    What is written in several forms leaves in the one that a peer takes; people see the first.
    """
    # Loaded here: only a worker that has something to write needs them.
    from service.objects.label_map_twin import write_label_map_twin
    from service.objects.validation import refuse_errors, validate
    from service.objects.writer import write_results

    written = write_results(result, title, volume, context)
    twin = write_label_map_twin(result, title, volume, written, context)
    forms = {BINARY: written, LABEL_MAP: twin} if twin is not None else {ANY_FORM: written}
    found = {}
    for form, pair in forms.items():
        objects = found[form] = [one for one in (pair.segmentation, pair.report) if one is not None]
        for one in objects:
            others = [other for other in objects if other is not one]
            refuse_errors(validate(one, sources=volume.sources, referenced=others))
    return found
