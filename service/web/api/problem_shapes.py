"""What is wrong with an object, by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from service.objects.rule_catalogue import Problem
from service.web.api.shapes import Shape


class ProblemShape(Shape):
    """A rule that an object breaks."""

    severity: str = Field(description="ERROR or WARNING")
    rule: str = Field(description="The rule's name (docs/validation.md)")
    clause: str = Field(description="What the rule rests on")
    message: str = Field(description="What breaks it; no patient value")
    remedy: str = Field(description="What to do")


class ProblemList(Shape):
    """All of an object's."""

    problems: list[ProblemShape] = Field(
        description="In the order in which rules are checked; empty where none is broken"
    )

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """As the rules say them."""
        return cls(
            problems=[
                ProblemShape(
                    severity=str(one.severity),
                    rule=one.rule,
                    clause=one.clause,
                    message=one.message,
                    remedy=one.remedy,
                )
                for one in problems
            ]
        )
