"""An index filled with rows that a generator makes: studies, series and instances without pixels or headers.

The same seed gives the same rows. An archive grows in time: a hundred studies a day, two series of 25 instances each;
a larger one reaches further back and holds more patients, whose names are made of syllables.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from sqlalchemy import Table, insert, text

from service.archive.attribute_values import ALWAYS_KEPT, VALUE_TABLES, entry_rows, owner_of
from service.archive.database import Database
from service.archive.metadata_cache import encode_text
from service.archive.schema import instances, projects, series, studies
from service.archive.served_attributes import series_columns, study_columns
from service.core.records import NewInstance, ObjectKind, StoredBlob
from service.core.search import Attributes, Level

PROJECT: Final = "default"
INSTANCES_OF_A_SERIES: Final = 25
SERIES_OF_A_STUDY: Final = 2
INSTANCES_OF_A_STUDY: Final = INSTANCES_OF_A_SERIES * SERIES_OF_A_STUDY
_STUDIES_A_DAY: Final = 100
_STUDIES_OF_A_PATIENT: Final = 2
_LAST_DAY: Final = date(2026, 6, 30)
_ROWS_AT_ONCE: Final = 5000
_SYLLABLES: Final = (
    "ba",
    "ben",
    "da",
    "fe",
    "gor",
    "ha",
    "kel",
    "lu",
    "mar",
    "ne",
    "or",
    "pi",
    "ra",
    "sen",
    "tu",
    "wil",
)
_GIVEN: Final = ("Anna", "Ben", "Carla", "David", "Eva", "Felix", "Greta", "Hanno", "Ines", "Jörg", "Katja", "Linus")
_CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
# About as long as what is kept of a CT image.
_METADATA: Final = encode_text('{"00081090":{"vr":"LO","Value":["' + "".join(map(str, range(600))) + '"]}}')


@dataclass(frozen=True, slots=True)
class MadeStudy:
    """One study of the archive; the higher its number, the earlier it is."""

    number: int

    @property
    def patient(self) -> int:
        """The number of its patient."""
        return self.number // _STUDIES_OF_A_PATIENT

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return f"2.25.{self._drawn().getrandbits(120)}"

    @property
    def date(self) -> str:
        """Study Date."""
        return f"{_LAST_DAY - timedelta(days=self.number // _STUDIES_A_DAY):%Y%m%d}"

    @property
    def modality(self) -> str:
        """Of all its series."""
        return self._drawn().choices(tuple(_CLASSES), (6, 3, 1))[0]

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return f"PAT{self.patient:07d}"

    @property
    def accession_number(self) -> str:
        """Accession Number."""
        return f"ACC{self.number:08d}"

    @property
    def surname(self) -> str:
        """Family name, made of syllables."""
        drawn = random.Random(f"surname {self.patient}")
        return "".join(drawn.choice(_SYLLABLES) for _ in range(3)).title()

    @property
    def patient_name(self) -> str:
        """Patient's Name."""
        return f"{self.surname}^{random.Random(f'given {self.patient}').choice(_GIVEN)}"

    @property
    def step_id(self) -> str:
        """Scheduled Procedure Step ID."""
        return f"SPS{self.number:08d}"

    def series_uid(self, index: int) -> str:
        """Series Instance UID of a series, from 1."""
        return f"{self.uid[:50]}.{index}"

    def instance_uid(self, series_index: int, number: int) -> str:
        """SOP Instance UID of an instance, both from 1."""
        return f"{self.uid[:50]}.{series_index}.{number}"

    def attributes(self) -> Attributes:
        """What the index keeps of it."""
        drawn = self._drawn()
        return {
            "00080020": _element("DA", self.date),
            "00080030": _element("TM", f"{drawn.randrange(7, 20):02d}{drawn.randrange(60):02d}00"),
            "00080050": _element("SH", self.accession_number),
            "00080090": _element("PN", {"Alphabetic": f"{drawn.choice(_SYLLABLES).title()}^Referrer"}),
            "00081030": _element("LO", f"{self.modality} of the {drawn.choice(('chest', 'head', 'spine'))}"),
            "00100010": _element("PN", {"Alphabetic": self.patient_name}),
            "00100020": _element("LO", self.patient_id),
            "00100030": _element("DA", f"19{drawn.randrange(30, 99)}0{drawn.randrange(1, 9)}15"),
            "00100040": _element("CS", drawn.choice("FM")),
            "0020000D": _element("UI", self.uid),
            "00200010": _element("SH", str(self.number)),
        }

    def series_attributes(self, index: int) -> Attributes:
        """What the index keeps of one of its series."""
        request = {"00400009": _element("SH", self.step_id), "00401001": _element("SH", f"RP{self.number:08d}")}
        return {
            "00080060": _element("CS", self.modality),
            "0008103E": _element("LO", f"Series {index} of {self.modality}"),
            "00180015": _element("CS", "CHEST"),
            "0020000E": _element("UI", self.series_uid(index)),
            "00200011": _element("IS", index),
            "00400244": _element("DA", self.date),
            "00400275": {"vr": "SQ", "Value": [request]},
        }

    def new_instances(self, received_at: float) -> list[NewInstance]:
        """What registration takes, for measuring it."""
        made = []
        for index in range(1, SERIES_OF_A_STUDY + 1):
            for number in range(1, INSTANCES_OF_A_SERIES + 1):
                uid = self.instance_uid(index, number)
                header = Dataset.from_json(self.attributes() | self.series_attributes(index))
                header.SOPInstanceUID, header.SOPClassUID = uid, _CLASSES[self.modality]
                header.InstanceNumber, header.Rows, header.Columns, header.BitsAllocated = number, 512, 512, 16
                made.append(
                    NewInstance(
                        project=PROJECT,
                        kind=ObjectKind.IMAGE,
                        header=header,
                        transfer_syntax_uid="1.2.840.10008.1.2.1",
                        content_digest=uid.encode()[:32],
                        received_at=received_at,
                        patient_digest=self.patient_id.encode(),
                        blob=StoredBlob(f"{PROJECT}/{uid}", 526_336, 1024, None),
                    )
                )
        return made

    def _drawn(self) -> random.Random:
        return random.Random(f"study {self.number}")


def fill(location: str | Path, instances_wanted: int) -> int:
    """Fill an empty index; the number of studies."""
    count = max(1, instances_wanted // INSTANCES_OF_A_STUDY)
    with Database.open(location) as database:
        with database.write() as connection:
            connection.execute(insert(projects).values(name=PROJECT, created_at=0.0))
        # The oldest first, as they come.
        for table, rows in _batches(MadeStudy(count - 1 - row) for row in range(count)):
            with database.write() as connection:
                connection.execute(insert(table), rows)
        if database.dialect == "postgresql":
            _tell_postgresql(database)
    return count


def _tell_postgresql(database: Database) -> None:
    """What its own housekeeping does within minutes: figures, and numbers that go on behind the rows."""
    with database.write() as connection:
        for table in (studies, series, instances):
            name = table.name
            connection.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
            )
        connection.execute(text("ANALYZE"))


def _batches(made: Iterator[MadeStudy]) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    waiting: dict[Table, list[dict[str, Any]]] = {}
    tables = (studies, series, instances, *VALUE_TABLES.values())
    for row_id, study in enumerate(made, start=1):
        for table, row in _rows(study, row_id):
            waiting.setdefault(table, []).append(row)
        if len(waiting[instances]) >= _ROWS_AT_ONCE:
            yield from ((table, waiting.pop(table)) for table in tables if table in waiting)
    yield from ((table, waiting[table]) for table in tables if table in waiting)


def _rows(study: MadeStudy, study_id: int) -> Iterator[tuple[Table, dict[str, Any]]]:
    at = 1.7e9 + study_id
    attributes = study.attributes()
    row = {"id": study_id, "project": PROJECT, "study_uid": study.uid, **study_columns(attributes)}
    yield (
        studies,
        row | {"created_at": at, "last_image_at": at, "changed_at": at, "state": "complete", "shows_image": True},
    )
    yield from _values(Level.STUDY, study_id, attributes)
    for index in range(1, SERIES_OF_A_STUDY + 1):
        series_id = (study_id - 1) * SERIES_OF_A_STUDY + index
        attributes = study.series_attributes(index)
        row = {"id": series_id, "project": PROJECT, "study_id": study_id, "series_uid": study.series_uid(index)}
        yield series, row | series_columns(attributes) | {"changed_at": at, "shows_image": True}
        yield from _values(Level.SERIES, series_id, attributes)
        for number in range(1, INSTANCES_OF_A_SERIES + 1):
            uid = study.instance_uid(index, number)
            yield (
                instances,
                {
                    "id": (series_id - 1) * INSTANCES_OF_A_SERIES + number,
                    "project": PROJECT,
                    "study_id": study_id,
                    "series_id": series_id,
                    "sop_instance_uid": uid,
                    "sop_class_uid": _CLASSES[study.modality],
                    "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                    "kind": "image",
                    "instance_number": number,
                    "rows": 512,
                    "columns": 512,
                    "bits_allocated": 16,
                    "content_digest": uid.encode()[:32],
                    "blob_key": f"{PROJECT}/{uid}",
                    "blob_size": 526_336,
                    "data_set_offset": 1024,
                    "metadata": _METADATA,
                    "received_at": at,
                    "indexed_at": at,
                },
            )


def _values(level: Level, owner_id: int, attributes: Attributes) -> Iterator[tuple[Table, dict[str, Any]]]:
    table = VALUE_TABLES[level]
    for key in ALWAYS_KEPT:
        if key.held_at is level:
            for row in entry_rows(key, PROJECT, owner_id, attributes, owner_of(table).name):
                yield table, row


def _element(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
