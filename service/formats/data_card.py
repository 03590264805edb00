"""What a dataset holds, counted: by part, by label, by modality and by whoever marked it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from service.formats.case_record import DatasetDescription, Records
from service.formats.finding_rows import FINDINGS
from service.formats.patient_split import PARTS

_MAKER: Final = [name for name, _ in FINDINGS].index("maker")


@dataclass(slots=True)
class _Count:
    """What was counted of some cases."""

    patients: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    cases: int = 0
    marked: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "patients": len(self.patients),
            "studies": len(self.studies),
            "cases": self.cases,
            "cases_marked": self.marked,
        }


def data_card_of(
    dataset: DatasetDescription, layout: str, records: Records, not_in_it: Mapping[str, int]
) -> dict[str, Any]:
    """The card as JSON.

    Parameters
    ----------
    not_in_it : how many series are not in the dataset, by reason
    """
    whole = _Count()
    parts: dict[str, _Count] = defaultdict(_Count)
    modalities: Counter[str] = Counter()
    makers: Counter[str] = Counter()
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records():
        for count in (whole, parts[record.part]):
            count.patients.add(record.patient)
            count.studies.add(record.study_uid)
            count.cases += 1
            count.marked += record.is_marked
        modalities[record.modality] += 1
        makers.update(str(row[_MAKER]) for row in record.rows["findings"])
        for name, counted in record.counts.items():
            labels[name].update(cases=1, **counted)
    return {
        "name": dataset.name,
        "description": dataset.description,
        "licence": dataset.licence,
        "created": dataset.created,
        "format": layout,
        "source": dict(dataset.source),
        "split": {"by": "patient", "seed": dataset.seed, "shares": dict(dataset.shares)},
        "counts": whole.as_json(),
        "parts": {part: parts[part].as_json() for part in PARTS if part in parts},
        "modalities": dict(sorted(modalities.items())),
        "findings_by_maker": dict(sorted(makers.items())),
        "labels": [
            {
                "name": label.name,
                "number": label.number,
                "codes": [f"({code.value}, {code.scheme}, {code.meaning})" for code in label.types],
                **{what: labels[label.name][what] for what in ("cases", "findings", "voxels")},
            }
            for label in dataset.labels
        ],
        "not_in_the_dataset": dict(not_in_it),
    }
