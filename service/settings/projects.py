"""The section of a project."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.settings.values import AeTitle, Name, Section, Uid


class ProjectSettings(Section):
    """A project: a dataset with its own keys, rules and readers."""

    ae_titles: tuple[AeTitle, ...] = ()
    deidentify: str = "default"
    annotators: tuple[Name, ...] = ("nodules",)
    study_quiet_s: float = Field(60.0, gt=0)
    on_conflict: Literal["keep-first", "replace", "quarantine"] = "keep-first"
    drop_sop_classes: tuple[Uid, ...] = ()
    approve: Literal["person", "automatic"] = "person"
    allow_demonstrator: bool = False
    deliver_to: tuple[Name, ...] = ()
    move_to: tuple[Name, ...] = ()
