"""Make the tables under config/validation/ that validation reads and nobody writes by hand.

Run it when a newer edition is taken over: ``python tools/make_validation_tables.py TABLES config/validation``.

TABLES holds ``tid_rows.csv`` (rows of the SR templates of PS3.16). The module tables of PS3.3 come from the
highdicom package, the context groups of PS3.16 from pydicom; both are trimmed to what a rule can ask about.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydicom.datadict import tag_for_keyword

CODE_ROWS = frozenset(
    {"CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning", "LongCodeValue", "URNCodeValue"}
)
"""What stands below every code sequence (PS3.3 Table 8.8-1); one rule asks about it wherever it stands."""
ENHANCED_CODE_ROWS = frozenset(
    {
        "ContextGroupExtensionCreatorUID",
        "ContextGroupExtensionFlag",
        "ContextGroupLocalVersion",
        "ContextGroupVersion",
        "ContextIdentifier",
        "ContextUID",
        "EquivalentCodeSequence",
        "MappingResource",
        "MappingResourceName",
        "MappingResourceUID",
    }
)
OWN_RULES = frozenset({"sr-document-content"})
"""Modules that validation reads as trees: the table lists each value type's attributes as if every item had them."""
MORE_GROUPS = (42, 7010, 7011, 7012, 7021)
"""Context groups that rules name beside those of the template rows."""

Rows = list[dict[str, object]]
Shape = dict[str, object]


class Shapes:
    """Item tables, each kept once: macros stand in many places."""

    def __init__(self) -> None:
        self.kept: list[Shape] = []
        self._numbers: dict[str, int] = {}

    def number(self, shape: Shape) -> int:
        """The place of a shape among those that are kept."""
        text = json.dumps(shape, sort_keys=True)
        if text not in self._numbers:
            self._numbers[text] = len(self.kept)
            self.kept.append(shape)
        return self._numbers[text]


def shape_of(rows: Rows, shapes: Shapes, codes: set[str]) -> int:
    """The shape of a module: keywords by Type, and below each sequence the shape of its items."""
    by_path: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for row in rows:
        if tag_for_keyword(str(row["keyword"])) is not None:  # of repeating groups, such as overlays, it is none
            by_path[tuple(row["path"])][str(row["keyword"])] = str(row["type"])

    def below(path: tuple[str, ...]) -> int | None:
        types = by_path.get(path, {})
        is_code = set(types) >= CODE_ROWS
        if is_code and path:
            codes.add(path[-1])
        shape: Shape = {}
        for keyword, kind in types.items():
            if is_code and keyword in CODE_ROWS | ENHANCED_CODE_ROWS:
                continue
            if kind != "3" or not path:
                shape[kind] = f"{shape.get(kind, '')} {keyword}".strip()
        children = {path_[len(path)] for path_ in by_path if len(path_) > len(path) and path_[: len(path)] == path}
        items = {}
        for child in sorted(children - (ENHANCED_CODE_ROWS if is_code else set())):
            number = below((*path, child))
            if number is not None:
                items[child] = number
        if items:
            shape["items"] = items
        return shapes.number(shape) if shape or not path else None

    return below(()) or 0


def write_modules(target: Path) -> None:
    """Write every IOD's modules, and what each module holds."""
    folder = Path(importlib.util.find_spec("highdicom").submodule_search_locations[0]) / "_standard"
    tables = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("module_attribute_map", "iod_module_map", "sop_class_iod_map")
    }
    shapes, codes = Shapes(), set()
    shapes.number({})
    modules = {
        name: shape_of([] if name in OWN_RULES else rows, shapes, codes)
        for name, rows in sorted(tables["module_attribute_map"].items())
    }
    iods = {
        name: " ".join(f"{row['key']}:{row['usage']}" for row in rows)
        for name, rows in sorted(tables["iod_module_map"].items())
    }
    written = {
        "origin": "PS3.3 module tables as shipped by highdicom (MIT), trimmed; (c) NEMA",
        "made_by": "tools/make_validation_tables.py",
        "sop_classes": tables["sop_class_iod_map"],
        "code_sequences": " ".join(sorted(codes)),
        "iods": iods,
        "modules": modules,
        "shapes": shapes.kept,
    }
    with target.open("w", encoding="utf-8") as file:
        file.write("{\n")
        parts = []
        for key, value in written.items():
            if isinstance(value, dict):
                lines = [f" {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items()]
                parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n}")
            elif isinstance(value, list):
                parts.append(f"{json.dumps(key)}: [\n" + ",\n".join(f" {json.dumps(one)}" for one in value) + "\n]")
            else:
                parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
        file.write(",\n".join(parts) + "\n}\n")


COLUMNS = (
    "template",
    "row",
    "level",
    "relationship",
    "by_reference",
    "value_type",
    "include",
    "code",
    "scheme",
    "meaning",
    "group",
    "most",
    "required",
    "values",
    "units",
)
GROUP = re.compile(r"CID (\d+)( \(baseline\))?")
BINDING = re.compile(r"\$(\w+)=CID (\d+)")
FIXED_UNIT = re.compile(r"UNITS = \(([^,]+), UCUM, [^)]*\)")
BASELINE_PARAMETERS = {"Measurement": 218, "Units": 7181, "Derivation": 7464, "Method": 6147, "ImagePurpose": 7551}
"""What TID 1500 binds the parameters of its groups to, all baseline."""
REGION_ROWS = {("1410", "130488"): "8b", ("1410", "130489"): "8c", ("1410", "130401"): "9b"}
"""Rows that were read without their label."""
BESIDE_GLUCOSE = frozenset({("1607", "13"), ("1607", "14")})
"""Rows that are asked for beside another one only; templates.toml says so."""


def template_row(row: dict[str, str], number: int) -> dict[str, object]:
    """One row of a template in our columns."""
    concept, constraint = row["concept_meaning_or_source"], row["value_set_or_constraint"]
    included = row["value_type"].removeprefix("INCLUDE ") if row["value_type"].startswith("INCLUDE") else ""
    group = GROUP.fullmatch(concept)
    parameter = BASELINE_PARAMETERS.get(concept.removeprefix("$")) if concept.startswith("$") else None
    return {
        "template": row["tid"],
        "row": row["row"] or REGION_ROWS.get((row["tid"], row["concept_code"]), f"x{number}"),
        "level": row["nesting"],
        "relationship": row["relationship"],
        "by_reference": "yes" if row["by_reference"] == "Y" else "",
        "value_type": "" if included else row["value_type"],
        "include": included,
        "code": row["concept_code"],
        "scheme": row["concept_scheme"],
        "meaning": concept if row["concept_code"] else "",
        "group": f"{group[1]}" if group else (f"{parameter} baseline" if parameter else ""),
        "most": "" if row["vm"] == "1-n" else "1",
        "required": "U" if (row["tid"], row["row"]) in BESIDE_GLUCOSE else row["req"],
        "values": _value_set(constraint),
        "units": _units(constraint),
    }


def _value_set(constraint: str) -> str:
    bound = {"$Derivation": 7464, "$Method": 6147, "$QualModValue": 211}.get(constraint)
    if bound is not None:
        return f"{bound} baseline"
    group = GROUP.match(constraint) or GROUP.search(constraint.partition("default ")[2])
    return "" if group is None else f"{group[1]}{' baseline' if group[2] else ''}"


def _units(constraint: str) -> str:
    if fixed := FIXED_UNIT.match(constraint):
        return fixed[1]
    if constraint == "UNITS = $Units":
        return "CID 7181 baseline"
    return constraint.removeprefix("UNITS ") if constraint.startswith("UNITS CID") else ""


def write_templates(source: Path, target: Path) -> set[int]:
    """Write the template rows; the context groups that they name."""
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    rows = [template_row(row, number) for number, row in enumerate(csv.DictReader(lines), 1)]
    seen: set[tuple[object, object]] = set()
    for row in rows:
        while (row["template"], row["row"]) in seen:
            row["row"] = f"{row['row']}'"  # two rows that were read under one label
        seen.add((row["template"], row["row"]))
    with target.open("w", encoding="utf-8", newline="") as file:
        file.write(
            "# Rows of PS3.16 templates (facts of edition 2026c; some of 2022), by tools/make_validation_tables.py.\n"
            "# level: nesting, 0 is that of the row that includes the template; include: a template whose rows stand\n"
            "# here; code, scheme or group (a context group): the concept name; most: 1, any number where empty;\n"
            "# required: M, MC, U or UC, whose conditions stand in templates.toml; values, units: context group of\n"
            "# the value, UCUM code of the unit or its context group; baseline: a suggestion.\n"
        )
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    named = " ".join(str(row[column]) for row in rows for column in ("group", "values", "units"))
    return {int(number) for number in re.findall(r"\b(\d{1,5})(?= baseline|\b)", named)}


def write_context_groups(numbers: Iterable[int], target: Path) -> None:
    """Write the codes of context groups as pydicom has them, with the newer codes that it lacks left out."""
    groups = importlib.import_module("pydicom.sr._cid_dict")
    concepts = importlib.import_module("pydicom.sr._concepts_dict").concepts
    written = {}
    for number in sorted(set(numbers)):
        schemes = {}
        for scheme, keywords in sorted(groups.cid_concepts.get(number, {}).items()):
            values = {
                value
                for keyword in keywords
                for value, (_, cids) in concepts[scheme][keyword].items()
                if number in cids
            }
            schemes[scheme] = " ".join(sorted(values))
        if schemes:
            written[str(number)] = schemes
    with target.open("w", encoding="utf-8") as file:
        file.write('{\n"origin": "PS3.16 context groups as shipped by pydicom (MIT); (c) NEMA",\n')
        file.write('"made_by": "tools/make_validation_tables.py",\n"groups": {\n')
        file.write(",\n".join(f" {json.dumps(name)}: {json.dumps(one)}" for name, one in written.items()))
        file.write("\n}\n}\n")


def main() -> None:
    """Write all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    write_modules(arguments.directory / "modules.json")
    numbers = write_templates(arguments.tables / "tid_rows.csv", arguments.directory / "templates.csv")
    write_context_groups(numbers | set(MORE_GROUPS), arguments.directory / "context_groups.json")


if __name__ == "__main__":
    main()
