"""How the gateway shows what one of its groups holds, without saying twice how it is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

Made = TypeVar("Made")


class ShownPart(Generic[Made]):
    """A part that a group of the gateway makes on demand; read, and replaced, through the gateway by the same name.

    Whoever assigns another before the first use replaces it in the group, so every part that is handed it gets it.

    Parameters
    ----------
    group : the gateway's attribute that holds the group
    made : the part as the group's class declares it: a cached property, which mypy sees as its function
    """

    def __init__(self, group: str, made: cached_property[Made] | Callable[[Any], Made]) -> None:
        self.group = group
        self.__doc__ = made.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, gateway: None, owner: type) -> ShownPart[Made]: ...

    @overload
    def __get__(self, gateway: object, owner: type) -> Made: ...

    def __get__(self, gateway: object, owner: type) -> Any:
        """The part, made if nobody asked for it before."""
        return self if gateway is None else getattr(getattr(gateway, self.group), self.name)

    def __set__(self, gateway: object, part: Made) -> None:
        """Use another."""
        setattr(getattr(gateway, self.group), self.name, part)
