"""The section of a project."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from service.settings.pull import AnnotatorPriorsSettings
from service.settings.rules import RuleSettings
from service.settings.values import AeTitle, Name, Section, Uid

_LONGEST_WAIT_S = 3600.0


class ProjectSettings(Section):
    """A project: a dataset with its own keys, rules and readers."""

    ae_titles: tuple[AeTitle, ...] = ()
    deidentify: str = "default"
    annotators: tuple[Name, ...] = ("nodules",)
    study_quiet_s: float = Field(60.0, gt=0)
    on_conflict: Literal["keep-first", "replace", "quarantine"] = "keep-first"
    drop_sop_classes: tuple[Uid, ...] = ()
    faulty_annotations: Literal["refuse", "list"] = "refuse"
    approve: Literal["person", "automatic"] = "person"
    allow_demonstrator: bool = False
    readers_see_models: bool = True
    deliver_to: tuple[Name, ...] = ()
    move_to: tuple[Name, ...] = ()
    complete_when: tuple[Literal["quiet", "commitment", "notification", "count", "series"], ...] = ("quiet",)
    count_peer: Name | None = None
    complete_series: tuple[tuple[str, ...], ...] = ()
    study_wait_s: float | None = Field(None, gt=0)
    tell_availability_to: tuple[Name, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    priors: dict[Name, AnnotatorPriorsSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> ProjectSettings:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules: there are two of the name {', '.join(twice)}")
        if not self.complete_when:
            raise ValueError("complete_when: nothing is left by which a study could become complete")
        if ("series" in self.complete_when) != bool(self.complete_series):
            raise ValueError('complete_series: it is what complete_when = ["series"] goes by; name both or neither')
        if "count" in self.complete_when and self.count_peer is None:
            raise ValueError("count_peer: somebody has to be asked how many there are")
        known = {*self.annotators, *(name for rule in self.rules for name in rule.annotators or ())}
        if unknown := sorted(self.priors.keys() - known):
            raise ValueError(f"priors: the project has no annotator {', '.join(unknown)}")
        if self.study_wait_s is not None and self.study_wait_s < self.study_quiet_s:
            raise ValueError("study_wait_s: it is below study_quiet_s")
        return self

    @property
    def longest_wait_s(self) -> float:
        """After how much quiet a study is complete whatever was awaited: an hour, unless it says otherwise."""
        return max(_LONGEST_WAIT_S, self.study_quiet_s) if self.study_wait_s is None else self.study_wait_s
