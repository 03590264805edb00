"""How values are written on pages: times, sizes, dates, states and what a run came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.core.archived import RunRow, RunState, StudyRow

# State → tone of its badge; the word itself is always written beside the colour.
_TONES = {
    "receiving": "busy",
    "queued": "idle",
    "running": "busy",
    "complete": "good",
    "done": "good",
    "released": "good",
    "archived": "good",
    "refused": "warn",
    "held": "warn",
    "failed": "bad",
    "quarantined": "warn",
    "expired": "idle",
    "discarded": "idle",
    "waiting": "busy",
    "sent": "good",
    "rejected": "warn",
    "recalled": "warn",
    "hidden": "warn",
    "trashed": "warn",
    "removing": "busy",
    "restored": "good",
    "newest": "good",
    "accepted": "good",
    "changed": "warn",
    "added": "busy",
    "removed": "bad",
    "superseded": "idle",
}


def tone(state: str) -> str:
    """The tone of a state's badge."""
    return _TONES.get(state, "idle")


def moment(at: float | None) -> str:
    """Seconds since the epoch as date and time, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") if at is not None else "–"


def moment_machine(at: float | None) -> str:
    """The same for the attribute ``datetime``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else ""


def dicom_date(value: str) -> str:
    """A DA value (PS3.5 6.2) as people write it; anything else as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def size(count: int) -> str:
    """Bytes in a unit that fits."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def study_title(study: StudyRow) -> str:
    """What a study is called on a page: de-identified ones often have no description."""
    return study.study_description or study.patient_id or "Study without a description"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as a list shows it; ``result`` says what it came to, or why it did not."""

    annotator: str
    state: str
    result: str
    version: int


def run_line(run: RunRow) -> RunLine:
    """A run in words."""
    if run.state is RunState.DONE:
        found = len(json.loads(run.findings or "[]"))
        result = run.summary or (plural(found, "finding") if found else "nothing found")
    elif run.state in (RunState.REFUSED, RunState.FAILED):
        result = run.reason
    else:
        result = ""
    return RunLine(run.annotator, run.state.value, result, run.version)


# UCUM units as people write them.
_UNITS = {
    "mm3": "mm³",
    "cm3": "cm³",
    "mm2": "mm²",
    "[hnsf'U]": "HU",
    "g/ml{SUVbw}": "g/ml SUVbw",
    # As older editions wrote it.
    "{SUVbw}g/ml": "g/ml SUVbw",
    "1": "",
    "mL": "ml",
}


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding as a list shows it."""

    label: str
    kind: str
    place: str
    confidence: str
    measurements: tuple[str, ...]


def finding_lines(run: RunRow) -> list[FindingLine]:
    """What a run found, in words (``service.jobs.findings_json``)."""
    return [
        FindingLine(
            finding.get("label", ""),
            _meaning(finding, "type"),
            " ".join(word for word in (_meaning(finding, "laterality"), _meaning(finding, "site")) if word),
            "" if finding.get("confidence") is None else f"{finding['confidence']:.0%}",
            tuple(_measured(measurement) for measurement in finding.get("measurements", ())),
        )
        for finding in json.loads(run.findings or "[]")
    ]


def _meaning(finding: dict[str, Any], name: str) -> str:
    return str((finding.get(name) or {}).get("meaning", ""))


def _measured(measurement: dict[str, Any]) -> str:
    derived = _meaning(measurement, "derivation")
    name = f"{measurement['meaning']}{f' ({derived.lower()})' if derived else ''}"
    value = measurement["value"]
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    unit = _UNITS.get(measurement["unit"], measurement["unit"])
    # A number stays on one line with its unit.
    return f"{name} {number.replace('-', '−')}\N{NO-BREAK SPACE}{unit}".rstrip()
