"""What the demonstration reports: what went in, what came out, and whether anything of the identity is left."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FoundNodule:
    """One finding of ``nodules``; the truth is None for a study that was not generated, or where there is none."""

    label: str
    long_axis_mm: float
    truth_mm: float | None
    volume_mm3: float
    truth_mm3: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class ObjectOut:
    """One object that the gateway wrote."""

    modality: str
    sop_class_uid: str
    series_uid: str
    sop_instance_uid: str
    annotator: str


@dataclass(slots=True)
class DemoReport:
    """The demonstration's result; ``as_json`` is the interface that scripts hold on to."""

    study_uid: str = ""
    instances_in: int = 0
    instances_served: int = 0
    findings: list[FoundNodule] = field(default_factory=list)
    objects_out: list[ObjectOut] = field(default_factory=list)
    identity_left: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    searched: int = 0
    elements_removed: int = 0
    elements_replaced: int = 0
    truths: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Everything came through: all served, nothing refused, no identity left, every planted nodule found."""
        return not self.problems and not self.identity_left and self.instances_served >= self.instances_in > 0

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {
            "study_uid": self.study_uid,
            "instances_in": self.instances_in,
            "instances_served": self.instances_served,
            "findings": [asdict(finding) for finding in self.findings],
            "objects_out": [asdict(made) for made in self.objects_out],
            "identity_left": self.identity_left,
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "addresses": self.addresses,
            "notes": self.notes,
            "problems": self.problems,
        }
