"""The files that every dataset has beside those of its cases: tables, data card, Croissant, manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from service.formats.case_record import DatasetDescription, Records
from service.formats.croissant import croissant_of
from service.formats.data_card import data_card_of
from service.formats.export_state import MANIFEST
from service.formats.json_stream import write_object
from service.formats.layout import Layout
from service.formats.staged_file import DatasetFolder, WrittenFile
from service.formats.tables import TABLES, write_csv, write_parquet

DATA_CARD: Final = "datacard.json"
CROISSANT: Final = "croissant.json"


def write_dataset_files(
    dataset: DatasetDescription,
    layout: Layout,
    records: Records,
    folder: DatasetFolder,
    not_in_it: Mapping[str, int],
) -> tuple[int, int]:
    """Write them, the manifest last; how many files the dataset has without it, and their size in bytes.

    Parameters
    ----------
    not_in_it : how many series are not in the dataset, by reason

    Raises
    ------
    FormatRefused : the format cannot hold these cases together; there is no manifest then
    """
    write_table = write_parquet if layout.tables_as_parquet else write_csv
    tables = {table: write_table(table, records, folder) for table in (*TABLES, *layout.tables)}
    written = [*tables.values(), *layout.finish(dataset, records, folder)]
    card = data_card_of(dataset, layout.name, records, not_in_it)
    written.append(_write_json(folder, DATA_CARD, card))
    croissant = croissant_of(dataset, records, tables, written)
    written.append(_write_json(folder, CROISSANT, croissant))
    count = size = 0

    def files() -> Iterator[dict[str, Any]]:
        nonlocal count, size
        of_cases = (file for record in records() for _, file in record.files)
        for each in (written, of_cases):
            for file in each:
                count, size = count + 1, size + file.size
                yield asdict(file)

    members = {"dataset": dataset.name, "created": dataset.created, "files": files()}
    folder.sync(file.path for file in written)
    folder.write(MANIFEST, lambda sink: write_object(sink, members))
    folder.sync([MANIFEST])
    return count, size


def _write_json(folder: DatasetFolder, path: str, document: dict[str, Any]) -> WrittenFile:
    return folder.write(path, lambda sink: write_object(sink, document))
