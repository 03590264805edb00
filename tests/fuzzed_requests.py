"""Requests to DICOMweb as no client of good will sends them, drawn from a seed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote, quote_from_bytes

from werkzeug.routing import Rule

UIDS_GONE_WRONG = (
    "..", "../../etc/passwd", "\0", "1.2\0", "1" * 5000, "1.2.3", "-1", " ", "1.2.3 ", "%00", "%2e%2e%2f", "١.٢", "1/2",
    "a" * 65, "';--", "1.2.3\r\nX: y", "<script>", "\\", "*", "?", "😀", "2.25." + "9" * 60, ".", "1..2", "01.02",
)  # fmt: skip
FRAMES = ("0", "1", "1,1", "2", "1000000000", "999999999", "-1", "1,", ",", "a", "1-3", "1,2," * 300, "", "１", "%31")
PATHS = (
    "7FE00010", "00420011", "7fe00010", "00480105/0/00282000", "00480105/99999999999/00282000",
    "/".join(["00080005/0"] * 400),
    "../metadata", "FFFFFFFF", "00020010", "\0", "7FE00010/1",
)  # fmt: skip
KEYS = (
    "PatientName", "PatientID", "StudyDate", "StudyTime", "StudyInstanceUID", "ModalitiesInStudy", "SeriesNumber",
    "00080020",
    "0008,0020", "RequestAttributesSequence.ScheduledProcedureStepID", "RequestAttributesSequence", "NoSuchKeyword",
    "00091001", "limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching",
    "accept",
    "charset", "window", "viewport", "quality", "annotation", "iccprofile", "frameNumber", "requestType", "studyUID",
    "objectUID", "contentType", "transferSyntax", "filter", "PatientName.PatientName", "", "\0", "😀", "a" * 3000, "%",
)  # fmt: skip
VALUES = (
    "", "*", "?", "DOE^J*", "\\", "\\\\", ",", "20240101-", "-", "99999999", "20240230", "20240101-20230101", "2560",
    "0800-0700", "1", "-1", "0", "1e9", "9" * 40, "all", "true", "maybe", "NaN", "\0", "\n", "é", "😀", "x" * 5000,
    "*" * 500,
    "?" * 500, "a,b", "1.2,1.3", "1.2\\1.3", "%", "_", "'", '"', "--", "1,1,linear", "0,0,0", "1,2,3,4,5,6", "-5,-5",
    "100000,100000",
    ",,,,,", "1e400,1,linear", "application/dicom+json", "image/jpeg", "patient,technique", "srgb", "[", "(",
    "((a+)+)+$",
)  # fmt: skip
MEDIA = (
    "*/*", "application/dicom+json", "application/json", "application/dicom",
    'multipart/related; type="application/dicom"',
    'multipart/related; type="application/dicom+xml"', 'multipart/related; type="application/dicom"; transfer-syntax=*',
    'multipart/related; type="application/octet-stream"', 'multipart/related; type="*/*"; transfer-syntax=*',
    "multipart/related; type=image/jls", "image/jpeg", "image/png", "image/gif", "text/html",
    "application/octet-stream",
    "application/dicom+json, image/jpeg", "nonsense", ";;;", "multipart/related", "a/b;q=x", "*/*;q=0",
    "application/*;q=1e99",
    'multipart/related; type="', "multipart/related; boundary=",
    "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.201",
    "x" * 3000 + "/y", ",".join(["a/b"] * 1000), "é/ü",
)  # fmt: skip
HEADERS = {
    "Accept-Encoding": ("gzip", "deflate", "*;q=0", "identity;q=0", "gzip;q=abc", "br", "," * 500, "gzip;q=nan"),
    "Accept-Charset": ("utf-8", "iso-8859-1", "klingon", ";;", "*"),
    "Range": (
        "bytes=0-1",
        "bytes=9999999999999-",
        "bytes=-0",
        "bytes=a",
        "bytes=" + "0-0," * 2000,
        "x=1",
        "bytes",
        "=",
        "bytes=5-1",
    ),
    "If-None-Match": ("*", '"x"', 'W/"x", "y"', "x", '"', "," * 100),
    "If-Modified-Since": ("Thu, 01 Jan 1970 00:00:00 GMT", "never", "99999", "Fri, 31 Dec 9999 23:59:59 GMT"),
    "If-Range": ('"x"', "Thu, 01 Jan 1970 00:00:00 GMT", "never", "W/"),
    "Host": ("localhost", "", "[::1", "a b", "evil.example:99999", "x" * 300),
    "X-Forwarded-Host": ("evil.example", "\t"),
    "Content-Length": ("0", "5"),
}
BODY_TYPES = (
    "application/dicom", "application/dicom+json", "application/dicom+xml",
    'multipart/related; type="application/dicom"; boundary=B',
    'multipart/related; type="application/dicom+json"; boundary=B',
    'multipart/related; type="application/dicom+xml"; boundary="B"',
    "multipart/related", "multipart/related; boundary=", "multipart/related; boundary=" + "B" * 500,
    "multipart/mixed; boundary=B",
    "", "/", "text/plain", "application/json", 'multipart/related; type="application/dicom"; boundary="B', "é",
)  # fmt: skip
BODIES = (
    b"", b"\0" * 2000, b"--B", b"--B\r\n", b"--B\r\n\r\n\r\n--B--", b"--B--",
    b"--B\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--B--",
    b"--B\r\n" + b"x" * 20_000, b"--B\r\n" + b"X: y\r\n" * 5000 + b"\r\n--B--", b"--B\r\n\r\n\r\n" * 2000 + b"--B--",
    b"[]", b"{}", b"[{}]", b"[" * 20_000, b'[{"00100010":{"vr":"PN","Value":[1]}}]', b'{"00080018":{"vr":"XX"}}',
    b'[{"\\ud800":{}}]',
    b'{"00081115":{"vr":"SQ","Value":[[[[]]]]}}', b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"null",
    b"1e999",
    b"\x1f\x8b\x08\x00", b"--B\r\nContent-Type: application/dicom+json\r\n\r\n[{}]\r\n--B--",
    b"--B\r\nContent-Type: application/dicom+xml\r\n\r\n<NativeDicomModel/>\r\n--B--", b"\xff\xfe" * 100,
)  # fmt: skip

_ARGUMENT = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


@dataclass(frozen=True)
class FuzzedRequest:
    """One request, percent-encoded as a server gets it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


def draw(random: Random, rules: Sequence[Rule], uids: Sequence[tuple[str, str, str]]) -> FuzzedRequest:
    """One request to an address that there is, more or less; every other UID is one that is held."""
    rule = random.choice(rules)
    method = random.choices(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"), (12, 2, 5, 1, 1, 1))[0]
    headers = {"Accept": random.choice(MEDIA)} if random.random() < 0.7 else {}
    for name in random.sample(sorted(HEADERS), random.choice((0, 0, 1, 2))):
        headers[name] = random.choice(HEADERS[name])
    body = b""
    if method in ("POST", "PUT"):
        headers.pop("Content-Length", None)
        headers["Content-Type"] = random.choice(BODY_TYPES)
        body = _damaged(random, random.choice(BODIES))
    return FuzzedRequest(method, _path(random, rule, uids), _query(random), headers, body)


def _path(random: Random, rule: Rule, uids: Sequence[tuple[str, str, str]]) -> str:
    study, series, instance = random.choice(uids)
    held = {"study_uid": study, "series_uid": series, "sop_instance_uid": instance, "project": "clinical"}
    pieces = []
    for number, piece in enumerate(_ARGUMENT.split(rule.rule)):
        if not number % 2:
            pieces.append(piece)
        elif piece == "frames":
            pieces.append(quote(random.choice(FRAMES)))
        elif piece == "path":
            pieces.append(quote(random.choice(PATHS)))
        elif random.random() < 0.75:
            pieces.append(held.get(piece, instance))
        else:
            pieces.append(quote(random.choice(UIDS_GONE_WRONG), safe=""))
    return "".join(pieces)


def _query(random: Random) -> str:
    pairs = []
    for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
        value = random.choice(VALUES)
        if random.random() < 0.1:
            value = quote_from_bytes(random.randbytes(random.randint(1, 20)))
        else:
            value = quote(value) if random.random() < 0.9 else quote(value, safe="%=&")
        pairs.append(f"{quote(random.choice(KEYS))}={value}")
    return "&".join(pairs)


def _damaged(random: Random, body: bytes) -> bytes:
    if random.random() < 0.7 or not body:
        return body
    at = random.randrange(len(body))
    return body[:at] + random.randbytes(random.randint(0, 4)) + body[at + random.randint(0, 4) :]
