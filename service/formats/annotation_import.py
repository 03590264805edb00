"""Masks and regions of other formats become annotations of studies that are there: SEG and SR, both or neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from service.core.findings import Finding
from service.core.volume_slices import VolumeSlices
from service.errors import FormatRefused
from service.formats.annotation_objects import AnnotationWriter
from service.formats.flat_images import FlatImages
from service.formats.intake import ImportedItem, ImportStatus, TakeIn, encoded, item_of
from service.formats.labels import LabelMapping
from service.formats.mask_files import LabelOf, findings_in, read_masks
from service.formats.place_list import CaseList
from service.formats.replacing import Replacing
from service.formats.series_finder import FoundSeries, SeriesFinder, SeriesIndex
from service.formats.stable_uids import content_digest, uid_of

FindingsOn = Callable[[VolumeSlices | FlatImages], Sequence[Finding]]
"""What a file marks on a volume or on flat images; refuses those that it does not fit."""


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What one file, or a part of one, marks on one series.

    Parameters
    ----------
    digest : of all that it is read from
    """

    source: str
    series_uid: str
    digest: str
    findings_on: FindingsOn
    notes: tuple[str, ...] = ()


class AnnotationImport:
    """Takes marks into one project.

    Parameters
    ----------
    take_in : takes encoded objects in
    replacing : finds what is replaced; None where all that is imported stands beside what is there
    """

    def __init__(
        self,
        *,
        finder: SeriesFinder,
        index: SeriesIndex,
        project: str,
        writer: AnnotationWriter,
        take_in: TakeIn,
        replacing: Replacing | None = None,
    ) -> None:
        self._replacing = replacing
        self._finder = finder
        self._index = index
        self._project = project
        self._writer = writer
        self._take_in = take_in

    def run(self, marks: Iterable[Marks | ImportedItem]) -> Iterator[ImportedItem]:
        """Import one after the other; what cannot be is refused, and the next one goes on."""
        for one in marks:
            if isinstance(one, ImportedItem):
                yield one
                continue
            try:
                yield self._import(one)
            except FormatRefused as error:
                yield ImportedItem(one.source, ImportStatus.REFUSED, str(error), series_uid=one.series_uid)

    def _import(self, marks: Marks) -> ImportedItem:
        series = self._finder.find(marks.series_uid)
        held = self._index.find_all(self._project, self._writer.uids(marks.digest, marks.series_uid))
        if held:
            return ImportedItem(
                marks.source,
                ImportStatus.THERE_ALREADY,
                study_uid=series.study.study_uid,
                series_uid=marks.series_uid,
                objects=tuple(sorted(held)),
            )
        volume, findings = _fitting(series, marks.findings_on)
        tracked = [_tracked(finding, number, marks) for number, finding in enumerate(findings, start=1)]
        before = None if self._replacing is None else self._replacing.find(series.study, marks.series_uid).named
        objects = self._writer.write(_told_apart(tracked), marks.digest, volume, series.study, before)
        outcomes = self._take_in([encoded(one) for one in objects])
        return replace(item_of(marks.source, outcomes, marks.notes), series_uid=marks.series_uid)


def _fitting(series: FoundSeries, findings_on: FindingsOn) -> tuple[VolumeSlices | FlatImages, Sequence[Finding]]:
    """The first volume, or group of flat images, of a series that the marks fit.

    Raises
    ------
    FormatRefused : they fit none; says why not the largest
    """
    refusal: FormatRefused | None = None
    candidates: list[VolumeSlices | FlatImages] = [*series.volumes, *series.flat]
    for volume in candidates:
        try:
            return volume, findings_on(volume)
        except FormatRefused as error:
            refusal = refusal or error
    raise refusal or FormatRefused("its series has no volume")


def _tracked(finding: Finding, number: int, marks: Marks) -> Finding:
    """A finding that can be followed: under the file's own tracking UID, or one that stays."""
    return replace(finding, tracking_uid=finding.tracking_uid or uid_of("finding", marks.digest, str(number)))


def _told_apart(findings: Sequence[Finding]) -> list[Finding]:
    """Findings of one name, numbered: a label is unique among those of a report."""
    names = [finding.label for finding in findings]
    seen: dict[str, int] = {}
    told = []
    for finding in findings:
        seen[finding.label] = seen.get(finding.label, 0) + 1
        several = names.count(finding.label) > 1
        told.append(replace(finding, label=f"{finding.label} {seen[finding.label]}") if several else finding)
    return told


def marks_of_files(
    files: Iterable[Path], cases: CaseList, mapping: LabelMapping, label_of: LabelOf, how: str
) -> Iterator[Marks | ImportedItem]:
    """The masks of NIfTI and NRRD files, one after the other.

    Parameters
    ----------
    how : in a word, what else bears on which number is which label
    """
    for file in files:
        try:
            grid = read_masks(file)
            series_uid = cases.series_of(file)
            digest = content_digest(file)
        except FormatRefused as error:
            yield ImportedItem(file.name, ImportStatus.REFUSED, str(error))
            continue
        yield Marks(
            source=file.name,
            series_uid=series_uid,
            digest=uid_of(digest, mapping.digest, how),
            findings_on=lambda volume, grid=grid: findings_in(grid, volume, mapping, label_of),  # type: ignore[misc]
            notes=grid.notes,
        )
