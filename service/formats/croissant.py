"""A dataset as Croissant 1.0 tells of it (JSON-LD, mlcommons.org/croissant/1.0): files, checksums, tables, licence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from service.formats.case_record import DatasetDescription, Json, Records
from service.formats.staged_file import WrittenFile
from service.formats.tables import Table

_CONTEXT: Final[Json] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES: Final = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}
_MEDIA_TYPES: Final = {
    ".csv": "text/csv",
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".txt": "text/plain",
    ".png": "image/png",
    ".gz": "application/gzip",
    ".nrrd": "application/octet-stream",
}


def croissant_of(
    dataset: DatasetDescription, records: Records, tables: Mapping[Table, WrittenFile], written: Sequence[WrittenFile]
) -> Json:
    """The metadata as JSON-LD.

    Parameters
    ----------
    tables : with the file that holds each
    written : the files of the whole, tables among them; those of cases are told of as sets of files, and each with its
        checksum in the manifest
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": dataset.name,
        "description": dataset.description or dataset.name,
        **({"license": dataset.licence} if dataset.licence else {}),
        "datePublished": dataset.created,
        "version": "1.0.0",
        "distribution": [*map(_file_object, written), *_file_sets(records)],
        "recordSet": [_record_set(table, file) for table, file in tables.items()],
    }


def _file_object(file: WrittenFile) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": f"{file.size} B",
        "encodingFormat": _media_type(file.path),
        "sha256": file.sha256,
    }


def _file_sets(records: Records) -> list[Json]:
    """A set for each folder and kind of the cases' files."""
    found = {_pattern(file.path) for record in records() for _, file in record.files}
    return [
        {
            "@type": "cr:FileSet",
            "@id": re.sub(r"[^A-Za-z0-9]+", "-", pattern).strip("-"),
            "name": re.sub(r"[^A-Za-z0-9]+", "-", pattern).strip("-"),
            "encodingFormat": _media_type(pattern),
            "includes": pattern,
        }
        for pattern in sorted(found)
    ]


def _pattern(path: str) -> str:
    """Its first folder and its ending: ``images/**/*.nii.gz``; a part of the dataset is a set of its own."""
    place = PurePosixPath(path)
    suffix = "".join(place.suffixes[-2:]) if place.suffix in (".gz", ".nrrd") else place.suffix
    below = "**/" if len(place.parts) > 2 else ""
    return f"{place.parts[0]}/{below}*{suffix}"


def _media_type(path: str) -> str:
    return _MEDIA_TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")


def _record_set(table: Table, file: WrittenFile) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{table.name}/{name}",
                "name": f"{table.name}/{name}",
                "dataType": _TYPES[kind],
                "source": {"fileObject": {"@id": file.path}, "extract": {"column": name}},
            }
            for name, kind in table.columns
        ],
    }
