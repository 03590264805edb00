"""The base of the error tree, and the errors that a node itself raises.

::

    GatewayError                500  0x0110
    ├── CallerNotAllowed        403  0x0124
    ├── InstanceUnreadable      400  0xC001
    ├── SopClassMismatch        409  0xA900
    ├── SopClassNotSupported    409  0x0122
    ├── StorageExhausted        503  0xA700
    └── … the service's own, in service/errors.py

Each class states its HTTP status and its DIMSE status once (PS3.18 Table 10.5.3-1; PS3.4 Table B.2-1; PS3.7
Annex C), so that no edge keeps a mapping. The DIMSE status is also the Failure Reason (0008,1197) of a store
response (PS3.18 Table I.2-2). Messages name elements and replaced UIDs, never a patient's value; the first 64
characters fit Error Comment (0000,0902).
"""

from __future__ import annotations


class GatewayError(Exception):
    """Processing failure: what every edge catches."""

    http_status = 500
    dimse_status = 0x0110

    @property
    def comment(self) -> str:
        """The message cut to the 64 characters of Error Comment (0000,0902)."""
        return str(self)[:64]


class CallerNotAllowed(GatewayError):
    """The caller may not do this (refused: not authorised)."""

    http_status = 403
    dimse_status = 0x0124


class InstanceUnreadable(GatewayError):
    """Cannot understand: no data set, undecodable bytes, or a UID that is not one."""

    http_status = 400
    dimse_status = 0xC001


class SopClassMismatch(GatewayError):
    """The data set does not match the SOP Class of the command."""

    http_status = 409
    dimse_status = 0xA900


class SopClassNotSupported(GatewayError):
    """Refused: SOP Class not supported."""

    http_status = 409
    dimse_status = 0x0122


class StorageExhausted(GatewayError):
    """Out of resources: the spool is at its limit, or the disk at its reserve."""

    http_status = 503
    dimse_status = 0xA700
