"""Files with a number for each voxel become Parametric Maps of series that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from service.core.annotations import ParameterMap
from service.core.archived import StudyRow
from service.core.codes import Code, ucum
from service.core.volume_slices import VolumeSlices
from service.errors import BadRequest, FormatRefused, ObjectInvalid
from service.formats.annotation_objects import Origin
from service.formats.intake import ImportedItem, ImportStatus, TakeIn, encoded, item_of
from service.formats.map_files import ValueGrid, read_values, values_on
from service.formats.place_list import CaseList
from service.formats.series_finder import FoundSeries, SeriesFinder, SeriesIndex
from service.formats.stable_uids import content_digest, uid_of, uids_of
from service.objects.result_context import ResultContext
from service.objects.uid_renaming import rename_uids

_SERIES_NUMBER: Final = 5001
_LONGEST_CODE, _LONGEST_MEANING = 16, 64


@dataclass(frozen=True, slots=True)
class MapMeaning:
    """What the numbers of a map are (PS3.3 C.7.6.16.2.11)."""

    label: str
    quantity: Code
    unit: Code

    @classmethod
    def read(cls, label: str, quantity: str, unit: str) -> Self:
        """From words.

        Parameters
        ----------
        quantity : ``code:scheme:meaning``
        unit : of UCUM

        Raises
        ------
        BadRequest : one of them says nothing, or more than DICOM holds
        """
        parts = [part.strip() for part in quantity.split(":", 2)]
        if len(parts) < 3 or not all(parts):
            raise BadRequest(
                f"{quantity!r} is no code: say code, scheme and meaning, as 113041:DCM:Apparent Diffusion Coefficient; "
                "a code without its scheme means nothing"
            )
        value, scheme, meaning = parts
        if len(value) > _LONGEST_CODE or len(scheme) > _LONGEST_CODE or len(meaning) > _LONGEST_MEANING:
            raise BadRequest("of a quantity, code and scheme have 16 characters at most, and the meaning 64")
        if not unit.strip() or " " in unit.strip() or len(unit.strip()) > _LONGEST_CODE:
            raise BadRequest(f"{unit!r} is no unit of UCUM: mm2/s for instance, or 1 where there is none")
        if not label.strip() or len(label.strip()) > _LONGEST_MEANING:
            raise BadRequest("a map has a label of 64 characters at most")
        return cls(label.strip(), Code(value, scheme, meaning), ucum(unit.strip()))


@dataclass(frozen=True, slots=True, eq=False)
class MapWriter:
    """Writes maps as objects of the study that they are about, always with the same UIDs.

    Parameters
    ----------
    created_at : now, moved like the dates of a study's patient
    version : of the gateway
    """

    origin: Origin
    created_at: Callable[[StudyRow], datetime] = field(repr=False)
    version: str

    def uid(self, digest: str, series_uid: str, meaning: MapMeaning) -> str:
        """SOP Instance UID of what is written."""
        return uid_of(*self._words(digest, series_uid, meaning), "map")

    def write(
        self,
        values: npt.NDArray[np.float32],
        meaning: MapMeaning,
        digest: str,
        volume: VolumeSlices,
        study: StudyRow,
    ) -> Dataset:
        """The object, held against the standard's rules.

        Raises
        ------
        FormatRefused : it cannot be written, or breaks a rule
        """
        # Loaded here: a file that is refused or held already needs none of it.
        from service.objects.parametric_map import write_parametric_map
        from service.objects.validation import refuse_errors, validate

        whole = volume.without_voxels()
        words = self._words(digest, whole.series_uid, meaning)
        context = ResultContext(self.created_at(study), _SERIES_NUMBER, uids_of(*words), self.version)
        parameters = ParameterMap(meaning.label, meaning.quantity, meaning.unit, values)
        try:
            written = write_parametric_map(parameters, self.origin.algorithm, self.origin.title, whole, context)
            rename_uids(written, {str(written.SOPInstanceUID): uid_of(*words, "map")})
            refuse_errors(validate(written, sources=whole.sources))
        except (ObjectInvalid, ValueError) as error:
            raise FormatRefused(f"it cannot be written as DICOM: {error}") from error
        return written

    def _words(self, digest: str, series_uid: str, meaning: MapMeaning) -> tuple[str, ...]:
        said = (meaning.label, meaning.quantity.value, meaning.quantity.scheme, meaning.unit.value)
        return digest, series_uid, self.origin.name, self.origin.version, self.origin.title, *said


class MapImport:
    """Takes maps into one project.

    Parameters
    ----------
    take_in : takes encoded objects in
    """

    def __init__(
        self, *, finder: SeriesFinder, index: SeriesIndex, project: str, writer: MapWriter, take_in: TakeIn
    ) -> None:
        self._finder = finder
        self._index = index
        self._project = project
        self._writer = writer
        self._take_in = take_in

    def run(self, files: Iterable[Path], cases: CaseList, meaning: MapMeaning) -> Iterator[ImportedItem]:
        """Import one after the other; what cannot be is refused, and the next one goes on."""
        for file in files:
            series_uid = ""
            try:
                series_uid = cases.series_of(file)
                yield self._import(file, series_uid, meaning)
            except FormatRefused as error:
                yield ImportedItem(file.name, ImportStatus.REFUSED, str(error), series_uid=series_uid)

    def _import(self, file: Path, series_uid: str, meaning: MapMeaning) -> ImportedItem:
        series = self._finder.find(series_uid)
        digest = content_digest(file)
        uid = self._writer.uid(digest, series_uid, meaning)
        if self._index.find_all(self._project, [uid]):
            study_uid = series.study.study_uid
            return ImportedItem(
                file.name, ImportStatus.THERE_ALREADY, study_uid=study_uid, series_uid=series_uid, objects=(uid,)
            )
        grid = read_values(file)
        volume, values = _fitting(series, grid)
        written = self._writer.write(values, meaning, digest, volume, series.study)
        outcomes = self._take_in([encoded(written)])
        return replace(item_of(file.name, outcomes, grid.notes), series_uid=series_uid)


def _fitting(series: FoundSeries, grid: ValueGrid) -> tuple[VolumeSlices, npt.NDArray[np.float32]]:
    """The first volume of a series that the numbers lie on.

    Raises
    ------
    FormatRefused : they lie on none; says why not the largest
    """
    refusal: FormatRefused | None = None
    for volume in series.volumes:
        try:
            return volume, values_on(grid, volume)
        except FormatRefused as error:
            refusal = refusal or error
    raise refusal or FormatRefused("its images lie nowhere in the patient, which a map has to")
