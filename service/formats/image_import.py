"""Images of other formats become DICOM series of a project."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from service.core.records import Outcome
from service.errors import BadRequest, FormatRefused
from service.formats.image_series import ImportedVolume, series_of
from service.formats.intake import ImportedItem, ImportStatus, TakeIn, batches, item_of
from service.formats.nifti_file import open_nifti
from service.formats.stable_uids import content_digest
from service.formats.stored_values import stored_values

_COLUMNS: Final = ("file", "patient_id", "study", "modality", "description")
_LONGEST_ID: Final = 64
_MODALITY_LETTERS: Final = 16


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file to import.

    Parameters
    ----------
    patient_id : as the project's other senders would say it; a de-identifying project gives a pseudonym for it
    study : files of one patient with the same word become one study; "" for a study of its own
    modality : CT and MR become images of their kind, any other a Secondary Capture of that modality
    """

    file: Path
    patient_id: str
    study: str = ""
    modality: str = "OT"
    description: str = ""


class ImageImport:
    """Takes files into one project.

    Parameters
    ----------
    take_in : takes encoded objects in
    """

    def __init__(self, take_in: TakeIn) -> None:
        self._take_in = take_in

    def run(self, files: Iterable[ImageFile]) -> Iterator[ImportedItem]:
        """Import one file after the other; what cannot be is refused, and the next one goes on."""
        for file in files:
            try:
                yield self._import(file)
            except FormatRefused as error:
                yield ImportedItem(file.file.name, ImportStatus.REFUSED, str(error))

    def _import(self, file: ImageFile) -> ImportedItem:
        _check(file)
        opened = open_nifti(file.file)
        digest = content_digest(file.file)
        values = stored_values(opened.stored(), *opened.scaling)
        notes = list(opened.notes)
        if values.off_by:
            notes.append(f"its values were rounded to 65536 levels and are up to {values.off_by:.3g} off")
        volume = ImportedVolume(
            patient_id=file.patient_id,
            study=file.study or digest,
            modality=file.modality,
            description=file.description,
            digest=digest,
            affine=opened.affine,
            values=values,
        )
        outcomes: list[Outcome] = []
        for batch in batches(series_of(volume)):
            outcomes += self._take_in(batch)
        return item_of(file.file.name, outcomes, notes)


def _check(file: ImageFile) -> None:
    if not 1 <= len(file.patient_id) <= _LONGEST_ID or "\\" in file.patient_id or not file.patient_id.isprintable():
        raise FormatRefused(f"a Patient ID has 1 to {_LONGEST_ID} letters and no backslash: name one")
    if not (file.modality.isascii() and file.modality.isupper() and len(file.modality) <= _MODALITY_LETTERS):
        raise FormatRefused("a modality is a word in capital letters, such as CT, MR or OT")


def listed_files(stream: TextIO, folder: Path, defaults: ImageFile) -> list[ImageFile]:
    """The files of a list: CSV with the columns file, patient_id, study, modality and description, or some of them.

    Parameters
    ----------
    folder : where relative names begin
    defaults : for columns that are absent or empty

    Raises
    ------
    BadRequest : it has another column, or none for the file
    """
    rows = csv.DictReader(stream)
    names = list(rows.fieldnames or ())
    if "file" not in names or set(names) - set(_COLUMNS):
        raise BadRequest(f"the list's first line names its columns: file and any of {', '.join(_COLUMNS[1:])}")
    files = []
    for row in rows:
        given = {name: value.strip() for name, value in row.items() if name != "file" and value and value.strip()}
        files.append(replace(defaults, file=folder / (row["file"] or ""), **given))
    return files
