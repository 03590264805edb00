"""The keys under which blobs are kept: built from validated parts only, since a store may make paths of them."""

from __future__ import annotations

import re
from hashlib import sha256

from dicom_nodes.errors import InstanceUnreadable
from service.errors import SettingsInvalid

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII).fullmatch
_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII).fullmatch
_KEY = re.compile(
    r"(?P<project>[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?)/(?P<shard>[0-9a-f]{2})/"
    r"(?P<uid>[0-9]+(?:\.[0-9]+)*)(?:\.v(?P<version>[1-9][0-9]{0,8}))?\.dcm",
    re.ASCII,
).fullmatch


def is_uid(text: str) -> bool:
    """Whether the text is a UID of at most 64 characters (PS3.5 9.1), leading zeros forgiven."""
    return len(text) <= 64 and _UID(text) is not None


def blob_key(project: str, sop_instance_uid: str, version: int = 0) -> str:
    """The key of an instance's blob: ``{project}/{first two of SHA-256 of the UID}/{UID}[.v{version}].dcm``.

    Raises
    ------
    InstanceUnreadable : the SOP Instance UID is none
    SettingsInvalid : the project's name cannot be part of a path
    """
    if not is_uid(sop_instance_uid):
        raise InstanceUnreadable("SOP Instance UID (0008,0018) is not a UID")
    if not _PROJECT(project):
        raise SettingsInvalid(
            "a project's name has 1 to 64 of a–z, 0–9, '.', '_' and '-', a letter or digit at each end"
        )
    suffix = f".v{version}" if version else ""
    return f"{project}/{_shard(sop_instance_uid)}/{sop_instance_uid}{suffix}.dcm"


def next_blob_key(key: str) -> str:
    """The key for the content that replaces the one under ``key``."""
    parts = _parts(key)
    return blob_key(parts["project"], parts["uid"], int(parts["version"] or 0) + 1)


def is_blob_key(key: str) -> bool:
    """Whether a key has the form that `blob_key` gives."""
    match = _KEY(key)
    return match is not None and is_uid(match["uid"]) and match["shard"] == _shard(match["uid"])


def _parts(key: str) -> dict[str, str]:
    match = _KEY(key)
    if match is None:
        raise ValueError("not the key of a blob")
    return match.groupdict()


def _shard(sop_instance_uid: str) -> str:
    return sha256(sop_instance_uid.encode()).hexdigest()[:2]
