"""Routing rules of a project, as data: what an object has to be, and what becomes of it then."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from service.settings.values import Name, Section, Uid


def _keyword(value: str) -> str:
    # Here and not above: the supervisor reads settings and needs nothing else of DICOM.
    from pydicom.datadict import tag_for_keyword

    if tag_for_keyword(value) is None:
        raise ValueError(f"{value!r} is not the keyword of an element (PS3.6)")
    return value


Keyword = Annotated[str, AfterValidator(_keyword)]


class RangeSettings(Section):
    """Values from ``min`` to ``max``, both included; one may be left out."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _is_one(self) -> RangeSettings:
        if self.min is None and self.max is None:
            raise ValueError("a range has a min or a max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


Wanted = tuple[str, ...] | RangeSettings


class RuleSettings(Section):
    """One rule; everything that it names has to fit, by one of the values given.

    ``*`` stands for any text and ``?`` for one character; case does not matter. An element that is absent or empty
    fits ``""`` alone.
    """

    name: Name
    called: tuple[str, ...] = ()
    calling: tuple[str, ...] = ()
    sent_priority: tuple[Literal["high", "medium", "low"], ...] = ()
    modality: tuple[str, ...] = ()
    sop_class: tuple[Uid, ...] = ()
    image_type: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    body_part: tuple[str, ...] = ()
    tags: dict[Keyword, Wanted] = Field(default_factory=dict)

    project: Name | None = None
    annotators: tuple[Name, ...] | None = None
    priority: Literal["stat", "high", "routine"] | None = None
    discard: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> RuleSettings:
        conditions = (
            *(self.called, self.calling, self.sent_priority, self.modality, self.sop_class),
            *(self.image_type, self.description, self.body_part, self.tags),
        )
        if not any(conditions):
            raise ValueError(f"rule {self.name} fits everything: it names nothing that an object has to be")
        effects = (self.project, self.annotators, self.priority)
        if not self.discard and all(effect is None for effect in effects):
            raise ValueError(f"rule {self.name} does nothing: it has no project, annotators, priority or discard")
        if self.discard and any(effect is not None for effect in effects):
            raise ValueError(f"rule {self.name} discards: what else it says has no effect")
        return self
