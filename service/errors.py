"""The whole error tree: the service's part, and the nodes' (``dicom_nodes.errors``) passed on.

::

    GatewayError                    500  0x0110
    ├── SettingsInvalid             500  0x0110   the configuration is refused at start
    ├── BadRequest                  400  0xA900   a parameter or body that cannot be understood
    ├── NotAuthenticated            401  0x0124   nobody we know
    ├── TooManyAttempts             429  0x0124   failed logins wait before the next
    ├── NotAcceptable               406  0x0110   no representation that the caller accepts
    ├── UnsupportedMediaType        415  0x0110
    ├── InstanceNotFound            404  0x0112   no such study, series, instance or frame
    │   └── InstanceGone            410  0x0112   it was deleted
    ├── ContentConflict             409  0xC003   the UID is held with other content
    │   └── InstanceInTrash         409  0xC010   the UID is that of an instance in the trash; quarantined
    ├── IdentityNotRemovable        409  0xC002   a rule forbids passing it on; quarantined
    │   ├── PixelsNeedPerson        409  0xC006   nobody but a person can decide on its pixels; quarantined
    │   ├── PixelRestFound          409  0xC008   bytes stand behind its last frame; quarantined
    │   └── FramesNotReadable       409  0xC009   what its compressed frames hold cannot be told apart; quarantined
    ├── AnnotationRefused           409  0xC011   an annotation object that would mislead what reads it; quarantined
    ├── PatientMismatch             409  0xC004   another patient under a Study Instance UID that is taken
    ├── TransferSyntaxNotSupported  409  0xC122   pixels in a form that no codec here reads
    ├── VolumeRefused               422  0x0110   a series that cannot become a volume, with the reason
    ├── FormatRefused               422  0x0110   what cannot be read from, or written in, another format
    ├── ObjectInvalid               500  0x0110   an object of ours that breaks the standard or a viewer rule
    ├── DecisionRefused             409  0x0110   what is to be decided was decided, or is nobody's to decide
    └── KeysMissing                 500  0x0110   the key file of a project that has data is gone
"""

from __future__ import annotations

from dicom_nodes.errors import CallerNotAllowed as CallerNotAllowed
from dicom_nodes.errors import GatewayError as GatewayError
from dicom_nodes.errors import InstanceUnreadable as InstanceUnreadable
from dicom_nodes.errors import SopClassMismatch as SopClassMismatch
from dicom_nodes.errors import SopClassNotSupported as SopClassNotSupported
from dicom_nodes.errors import StorageExhausted as StorageExhausted


class SettingsInvalid(GatewayError):
    """The configuration is refused; the message names each key and what is wrong with it."""


class BadRequest(GatewayError):
    """A parameter or a body that cannot be understood."""

    http_status = 400
    dimse_status = 0xA900


class NotAuthenticated(GatewayError):
    """The caller is nobody we know."""

    http_status = 401
    dimse_status = 0x0124


class TooManyAttempts(GatewayError):
    """Too many failed logins; ``retry_after_s`` says when the next one is looked at."""

    http_status = 429
    dimse_status = 0x0124

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotAcceptable(GatewayError):
    """There is no representation that the caller accepts; the message lists what could be had."""

    http_status = 406


class UnsupportedMediaType(GatewayError):
    """The body is of a media type that this resource does not take."""

    http_status = 415


class InstanceNotFound(GatewayError):
    """There is no such study, series, instance or frame, or the caller may not see it."""

    http_status = 404
    dimse_status = 0x0112


class ContentConflict(GatewayError):
    """The SOP Instance UID is held with other content."""

    http_status = 409
    dimse_status = 0xC003


class IdentityNotRemovable(GatewayError):
    """A rule forbids passing this object on: its identity cannot be removed here."""

    http_status = 409
    dimse_status = 0xC002


class PixelsNeedPerson(IdentityNotRemovable):
    """Nobody but a person can say whether an object's pixels tell who the patient is."""

    dimse_status = 0xC006


class PixelRestFound(IdentityNotRemovable):
    """More than padding stands behind the last frame; a person may have it cut off."""

    dimse_status = 0xC008


class FramesNotReadable(IdentityNotRemovable):
    """What stands in a compressed frame cannot be told apart, so that nobody can take a part of it out."""

    dimse_status = 0xC009


class InstanceGone(InstanceNotFound):
    """What was there was deleted."""

    http_status = 410


class InstanceInTrash(ContentConflict):
    """The SOP Instance UID is that of an instance that was deleted here and can still be restored."""

    dimse_status = 0xC010


class AnnotationRefused(GatewayError):
    """An annotation object breaks a rule without which it would mislead, or break what reads it; says which."""

    http_status = 409
    dimse_status = 0xC011


class PatientMismatch(GatewayError):
    """The Study Instance UID is taken by another patient."""

    http_status = 409
    dimse_status = 0xC004


class TransferSyntaxNotSupported(GatewayError):
    """The pixels are in a form that no codec here reads."""

    http_status = 409
    dimse_status = 0xC122


class VolumeRefused(GatewayError):
    """A series that cannot become a volume; the message says why."""

    http_status = 422


class FormatRefused(GatewayError):
    """An item that cannot be read from, or written in, another format; says what is wrong and what to do."""

    http_status = 422


class ObjectInvalid(GatewayError):
    """An object of ours that breaks the standard or a viewer's rule; the message lists the rules."""


class NotComparable(GatewayError):
    """Two versions cannot be laid over each other, or one of them cannot be read; says why."""

    http_status = 409


class DecisionRefused(GatewayError):
    """What a person wants to decide cannot be decided (any more); says why."""

    http_status = 409


class KeysMissing(GatewayError):
    """The key file of a project that has data is gone or does not fit."""
