"""Attributes that were made searchable."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from service.core.search_attributes import SearchAttribute
from service.web.api.shapes import Moment, Shape, moment, moment_or_none


class SearchAttributeShape(Shape):
    """One attribute that was made searchable in every project."""

    attribute: str = Field(description="Its keyword, with dots into sequences")
    level: str = Field(description="The level at which it is searched, and below: study, series or instance")
    held_at: str = Field(description="The level whose attributes hold it")
    state: str = Field(description="filling: values are being gathered, and searches ignore it; ready; removing")
    added_at: Moment = Field(description="When it was made searchable")
    ready_at: Moment | None = Field(description="When all values were gathered")

    @classmethod
    def of(cls, attribute: SearchAttribute) -> Self:
        """As the API tells it."""
        return cls(
            attribute=attribute.key.keyword,
            level=attribute.key.level.name.lower(),
            held_at=attribute.key.held_at.name.lower(),
            state=attribute.state.value,
            added_at=moment(attribute.added_at),
            ready_at=moment_or_none(attribute.ready_at),
        )


class SearchAttributeList(Shape):
    """All of them."""

    attributes: list[SearchAttributeShape] = Field(description="By their tags")
