"""What the built-in annotators share: their name, their parameters, and how they sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from service.annotators.parameters import AnnotatorParameters, identify
from service.core.findings import AlgorithmIdentification

Parameters = TypeVar("Parameters", bound=AnnotatorParameters)


class BuiltInAnnotator(Generic[Parameters]):
    """An annotator that comes with the gateway; subclasses add ``matches`` and ``annotate``.

    Parameters
    ----------
    name : under which configuration knows it
    new_uid : makes tracking UIDs
    """

    VERSION: ClassVar[str]

    def __init__(self, name: str, parameters: Parameters, new_uid: Callable[[], str]) -> None:
        self.name = name
        self.title = parameters.title
        self.algorithm: AlgorithmIdentification = identify(parameters, self.VERSION)
        self._parameters = parameters
        self._new_uid = new_uid
