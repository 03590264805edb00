"""Who made a report: the observer at its head, the algorithm in its containers, and who verified it."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from service.core.annotations import Author, PersonObserver
from service.core.findings import AlgorithmIdentification
from service.objects import concepts
from service.objects.content_items import HAS_CONCEPT_MOD, HAS_OBS_CONTEXT, code, pname, text, uidref
from service.objects.result_context import ResultContext

_NO_ORGANIZATION = "Unknown"


def observer_rows(author: Author) -> Iterator[Dataset]:
    """A person (TID 1003) or a device (TID 1004) as observer, after TID 1002."""
    if isinstance(author, PersonObserver):
        yield code(concepts.OBSERVER_TYPE, concepts.PERSON, relationship=HAS_OBS_CONTEXT)
        yield pname(concepts.PERSON_OBSERVER_NAME, author.name, relationship=HAS_OBS_CONTEXT)
        for name, value in (
            (concepts.PERSON_OBSERVER_LOGIN, author.login),
            (concepts.PERSON_OBSERVER_ORGANIZATION, author.organization),
        ):
            if value:
                yield text(name, value, relationship=HAS_OBS_CONTEXT)
        return
    yield code(concepts.OBSERVER_TYPE, concepts.DEVICE, relationship=HAS_OBS_CONTEXT)
    yield uidref(concepts.DEVICE_OBSERVER_UID, author.device_uid, relationship=HAS_OBS_CONTEXT)
    for name, value in (
        (concepts.DEVICE_OBSERVER_NAME, author.name),
        (concepts.DEVICE_OBSERVER_MANUFACTURER, author.manufacturer),
        (concepts.DEVICE_OBSERVER_MODEL, author.name),
    ):
        yield text(name, value, relationship=HAS_OBS_CONTEXT)


def algorithm_rows(author: Author) -> Iterator[Dataset]:
    """TID 4019, for everything below its container; nothing of a person."""
    if isinstance(author, PersonObserver):
        return
    parameters = [f"{name}={value}" for name, value in author.parameters.items()]
    rows = [
        (concepts.ALGORITHM_NAME, author.name),
        (concepts.ALGORITHM_VERSION, author.version),
        (concepts.ALGORITHM_MANUFACTURER, author.manufacturer),
        *((concepts.ALGORITHM_PARAMETERS, parameter) for parameter in parameters),
    ]
    for name, value in rows:
        yield text(name, value, relationship=HAS_CONCEPT_MOD)
    yield code(concepts.ALGORITHM_FAMILY, author.family, relationship=HAS_CONCEPT_MOD)


def describe_verification(report: Dataset, author: Author, context: ResultContext) -> None:
    """COMPLETE; VERIFIED by whoever did, the person who read it among them, else UNVERIFIED (PS3.3 C.17.2).

    What a program made stays UNVERIFIED until a person has looked at it.
    """
    report.CompletionFlag = "COMPLETE"
    person = context.verified_by or (author if isinstance(author, PersonObserver) else None)
    report.VerificationFlag = "UNVERIFIED" if person is None else "VERIFIED"
    if person is None:
        return
    verifying = Dataset()
    verifying.VerifyingObserverName = person.name
    verifying.VerifyingObserverIdentificationCodeSequence = []
    verifying.VerifyingOrganization = person.organization or _NO_ORGANIZATION
    verifying.VerificationDateTime = context.date_time
    report.VerifyingObserverSequence = [verifying]


def is_demonstrator(author: Author) -> bool:
    """Whether it is an algorithm that must not be used for diagnosis."""
    return isinstance(author, AlgorithmIdentification) and author.demonstrator
