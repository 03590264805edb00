"""Who the peer says that the patient is now, before anything is sent to it (IHE PIR: corrections, merges, moves)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from service.delivery.known_patient import KnownPatient

UNKNOWN_STUDY = "unknown study"
"""Stands for the patient where the peer does not know the study."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a peer said of a study.

    Parameters
    ----------
    words : why a person has to decide; empty where the patient is who it was
    digest : keyed, of what the peer said; what a person accepts is this and nothing that is said later
    patient : who it is now, where the peer told of one
    """

    words: str = ""
    digest: str = ""
    patient: KnownPatient | None = field(default=None, repr=False)


def standing_of(expected: KnownPatient, answers: Sequence[Dataset] | None, key: bytes) -> Standing:
    """Hold a peer's answers against the patient as the study came in.

    Parameters
    ----------
    answers : one for each time that it knows the study; None where it answers no queries
    key : of the digest
    """
    if answers is None:
        return Standing(
            "the peer answers no query, so it cannot be asked who the patient is now; "
            "check_identity = false sends without asking",
            digest=KnownPatient().digest(key),
        )
    if not answers:
        return Standing("the peer does not know the study (any more)", KnownPatient(name=UNKNOWN_STUDY).digest(key))
    told = [KnownPatient.of(answer) for answer in answers]
    if len({one.patient_id for one in told}) > 1:
        return Standing("the peer knows the study under several patients", KnownPatient(name="several").digest(key))
    differing = expected.differs_from(told[0])
    if not differing:
        return Standing()
    words = f"the peer knows the study under another {' and '.join(differing)} than it came with"
    return Standing(words, told[0].digest(key), told[0])
