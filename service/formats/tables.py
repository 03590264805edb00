"""Tables of a dataset as CSV or Parquet, row by row: no table is ever whole in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from service.errors import SettingsInvalid
from service.formats.case_record import CaseRecord, Records
from service.formats.finding_rows import EVALUATIONS, FINDINGS, MEASUREMENTS, Row
from service.formats.staged_file import DatasetFolder, Sink, WrittenFile

Columns = Sequence[tuple[str, type]]
_ROWS_AT_ONCE: Final = 10_000

CASES: Final[list[tuple[str, type]]] = [
    *((name, str) for name in ("case", "patient", "part", "study_uid", "series_uid")),
    ("volume", int),
    ("modality", str),
    ("marked", bool),
    *((name, int) for name in ("slices", "rows", "columns")),
    *((f"{axis}_mm", float) for axis in ("slice", "row", "column")),
    ("image", str),
    ("labels", str),
]
PICTURES: Final[list[tuple[str, type]]] = [
    *((name, str) for name in ("file", "case", "series_uid", "sop_instance_uid")),
    ("frame", int),
    ("slice", int),
]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table: its name, its columns, and how a case's rows of it are come by."""

    name: str
    columns: Columns
    rows_of: Callable[[CaseRecord], Iterable[Row]]

    def rows(self, records: Records) -> Iterator[Row]:
        """Every row, in the order of the cases."""
        return (row for record in records() for row in self.rows_of(record))


def _case_rows(record: CaseRecord) -> Iterable[Row]:
    image, labels = record.path_of("image"), record.path_of("labels") or record.path_of("segmentation")
    head = [record.case, record.patient, record.part, record.study_uid, record.series_uid, record.volume_number]
    yield [*head, record.modality, record.is_marked, *record.shape, *record.spacing_mm, image, labels]


TABLES: Final = (
    Table("cases", CASES, _case_rows),
    Table("findings", FINDINGS, lambda record: record.rows.get("findings", ())),
    Table("measurements", MEASUREMENTS, lambda record: record.rows.get("measurements", ())),
    Table("evaluations", EVALUATIONS, lambda record: record.rows.get("evaluations", ())),
)
PICTURE_TABLE: Final = Table("pictures", PICTURES, lambda record: record.own["pictures"])


def write_csv(table: Table, records: Records, folder: DatasetFolder) -> WrittenFile:
    """A table as ``tables/{name}.csv``: UTF-8, commas, the names of the columns first."""

    def fill(sink: Sink) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([name for name, _ in table.columns])
        for row in table.rows(records):
            writer.writerow(["" if value is None else _plain(value) for value in row])
            sink.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
        sink.write(text.getvalue().encode())

    return folder.write(f"tables/{table.name}.csv", fill)


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def require_parquet() -> None:
    """Refuse where the library that writes Parquet is not installed.

    Raises
    ------
    SettingsInvalid : names the extra that brings it
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise SettingsInvalid(
            "Parquet needs pyarrow, which is not installed: pip install 'annogate[formats]', or choose csv"
        ) from error


def write_parquet(table: Table, records: Records, folder: DatasetFolder) -> WrittenFile:
    """A table as ``tables/{name}.parquet``, some thousand rows a row group."""
    import pyarrow
    import pyarrow.parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in table.columns])

    def fill(sink: Sink) -> None:
        rows = table.rows(records)
        with pyarrow.parquet.ParquetWriter(_SinkFile(sink), schema, compression="zstd") as writer:
            while chunk := list(islice(rows, _ROWS_AT_ONCE)):
                columns = [
                    pyarrow.array([row[place] for row in chunk], field.type) for place, field in enumerate(schema)
                ]
                writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))

    return folder.write(f"tables/{table.name}.parquet", fill)


class _SinkFile(io.RawIOBase):
    """A sink as the file that pyarrow writes to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any, /) -> int:
        taken = bytes(content)
        self._sink.write(taken)
        self._size += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._size
