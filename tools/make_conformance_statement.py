"""Write docs/conformance-statement.md from the code's own tables, in the order of PS3.2 Annex N.

Run it when a table changes: ``python tools/make_conformance_statement.py``. A test compares. What the code can say is
said by it; what stands here as prose is what no table holds.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from textwrap import wrap
from typing import Any

from flask import Flask
from pydicom.charset import python_encoding
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID

import dicom_nodes
import service.core
import service.ingest
import service.web.dicomweb
import service.worklist
from dicom_nodes.callers import Rejection
from dicom_nodes.commitment import STORAGE_COMMITMENT, FailureReason
from dicom_nodes.errors import GatewayError
from dicom_nodes.instance_availability import INSTANCE_AVAILABILITY
from dicom_nodes.listener import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, NodeSettings
from dicom_nodes.query_model import (
    CANCELLED,
    CANNOT_PERFORM_SUB_OPERATIONS,
    DESTINATION_UNKNOWN,
    IDENTIFIER_MISMATCH,
    PENDING,
    PENDING_WITH_UNSUPPORTED_KEYS,
    SUB_OPERATIONS_FAILED,
    SUCCESS,
    Model,
    status_words,
)
from dicom_nodes.storage_classes import VERIFICATION, standard_storage_classes
from dicom_nodes.tls import TlsProfile
from dicom_nodes.transfer_syntaxes import is_lossless, transfer_syntaxes
from service import __version__
from service.core.access import Role
from service.core.archive_query import QueryLevel
from service.core.search import SEARCH_KEYS, Level, MatchKind
from service.deident.options import OPTION_CODES
from service.deident.profile import load_profile
from service.dimse.query_keys import is_counted, level_of
from service.ingest.object_classes import ANNOTATIONS, marks_a_study
from service.settings import Settings
from service.web.dicomweb.blueprint import dicomweb_blueprint
from service.web.dicomweb.capabilities import WADL, resources
from service.web.dicomweb.media_types import JSON, stream_media_type
from service.web.dicomweb.rendering import IMAGE_TYPES
from service.web.dicomweb.services import DicomWebServices
from service.web.dicomweb.store_advice import ADVICE
from service.web.dicomweb.store_response import WarningReason
from service.web.dicomweb.transactions import PLACES, URI_SERVICE, Transaction, transaction_of
from service.web.dicomweb.ups_blueprint import ups_blueprint
from service.web.route_table import DICOMWEB_BLUEPRINTS, WADO_URI_BLUEPRINTS, WORKLIST_BLUEPRINTS, row_of

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance-statement.md"
PROFILES = ROOT / "config" / "profiles"
YES, NO = "Y", "–"
WIDTH = 120

# What our own objects are; each is written by one module of service/objects.
CREATED = {
    "1.2.840.10008.5.1.4.1.1.66.4": "findings as binary segmentation (PS3.3 A.51)",
    "1.2.840.10008.5.1.4.1.1.66.7": "the same as label map, for peers that take it",
    "1.2.840.10008.5.1.4.1.1.88.34": "findings as measurement report (PS3.16 TID 1500)",
    "1.2.840.10008.5.1.4.1.1.88.59": "rejection notes (IHE RAD IOCM); key images (TID 2010), for peers that get them",
    "1.2.840.10008.5.1.4.1.1.11.1": "what was drawn and measured on images, for peers that get it (PS3.3 A.33.1)",
    "1.2.840.10008.5.1.4.1.1.481.3": "findings as regions of interest, for peers that get them (PS3.3 A.19)",
    "1.2.840.10008.5.1.4.1.1.7": "pictures of the summary, for peers that get them (PS3.3 A.8.1)",
}


def page() -> str:
    """Return the statement."""
    sections = (overview, contents, introduction, model, dimse, dicomweb, media, character_sets, security, annexes)
    return _filled(HEAD + "\n" + "\n".join(section() for section in sections))


def _filled(text: str) -> str:
    """Prose in lines of one width, whatever the tables put into it; headings, tables and blank lines as they are."""
    lines: list[str] = []
    prose: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line and line[0] not in "|#":
            prose.append(line)
            continue
        lines += wrap(" ".join(prose), WIDTH, break_long_words=False, break_on_hyphens=False)
        prose = []
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines)


HEAD = f"""# DICOM Conformance Statement: Annogate {__version__}

In the form of PS3.2 Annex N. Made by `tools/make_conformance_statement.py` from the tables that the program runs
with; a test compares. Behaviour in more words: [DICOM over the network](dimse.md), [DICOMweb](dicomweb.md).
"""


def overview() -> str:
    """Return section 1: what the product does, and the services it has, at a glance."""
    return f"""## 1 Overview
Annogate is an annotation gateway between a PACS and its readers and models. It receives objects, de-identifies them
by the profile of the project that they are sent to (or keeps them as they come), serves them to viewers, runs
annotators on them, and sends what was released back under the original identity.

{table(("Network service", "User (SCU)", "Provider (SCP)"), _dimse_services())}
{table(("Web service", "Transaction", "Origin server"), _web_services())}
{table(("Media interchange", ""), [("none", NO)])}
"""


def _dimse_services() -> list[tuple[str, ...]]:
    return [
        (f"Verification ({VERIFICATION})", YES, YES),
        (f"Storage ({len(standard_storage_classes())} SOP Classes, section 5.2)", YES, YES),
        (f"Storage Commitment, push model ({STORAGE_COMMITMENT})", YES, YES),
        *((f"{_name(uid)} ({uid})", YES, YES) for uid in _query_retrieve()),
        (f"{_name(Model.MODALITY_WORKLIST.find)} ({Model.MODALITY_WORKLIST.find})", YES, NO),
        (f"Instance Availability Notification ({INSTANCE_AVAILABILITY})", YES, YES),
    ]


def _query_retrieve() -> list[str]:
    return [uid for model in (Model.PATIENT_ROOT, Model.STUDY_ROOT) for uid in model.value]


def _web_services() -> list[tuple[str, ...]]:
    named: dict[str, list[str]] = {}
    for name, section in dict.fromkeys((one.name, one.section) for _, _, one in _routes()):
        named.setdefault(section.partition(".")[0] if section.startswith("11") else section, []).append(name)
    titles = {
        "8.9": "Capabilities",
        "9": "URI Service (WADO-URI)",
        "10.4": "Studies Service, Retrieve (WADO-RS)",
        "10.5": "Studies Service, Store (STOW-RS)",
        "10.6": "Studies Service, Search (QIDO-RS)",
        "11": "Worklist Service (UPS-RS)",
        "8.10.4": "Notifications",
    }
    named["8.9"] = ["RetrieveCapabilities"]
    return [
        (f"{titles.get(section, 'Other')} (PS3.18 {section})", ", ".join(names), YES)
        for section, names in sorted(named.items(), key=lambda item: [int(part) for part in item[0].split(".") if part])
    ]


def contents() -> str:
    """Return section 2: the table of contents."""
    return """## 2 Table of contents
1 Overview · 2 Table of contents · 3 Introduction · 4 Implementation model · 5 DIMSE services · 6 DICOMweb services ·
7 Media interchange · 8 Character sets · 9 Security · 10 Annexes
"""


def introduction() -> str:
    """Return section 3: who this is for, and what it rests on."""
    return """## 3 Introduction
For whoever connects something to the gateway, and for whoever judges whether that will work. Conformance alone does
not make two systems work together: try the connection. Terms are those of PS3.3 to PS3.8 and PS3.18; SCU, SCP, AE,
UID and SOP are used as there. Editions: storage classes and web services of 2024 and 2025; the edition of PS3.15
Table E.1-1 stands in [De-identification coverage](deidentification-coverage.md).
"""


def model() -> str:
    """Return section 4: application entities, and how data flows among them."""
    return """## 4 Implementation model
One Application Entity answers under all called AE titles of its projects, and calls peers under one title. Objects
that it receives are acknowledged when they are on disk; parsing, de-identification and indexing follow. DICOMweb
serves the same archive: at `/dicom-web` the project `default`, at `/projects/{project}/dicom-web` each by its name.

| real-world activity | done by |
| --- | --- |
| a modality or PACS sends | C-STORE or STOW-RS; the project is that of the called AE title or of the address |
| somebody asks whether it is kept | Storage Commitment (N-ACTION, N-EVENT-REPORT) |
| a viewer or script searches and retrieves | QIDO-RS, WADO-RS, C-FIND, C-MOVE, C-GET |
| a study is complete | annotators run; peers are told by Instance Availability Notification |
| a person or a rule releases a result | C-STORE or STOW-RS to the peers of the project, in original identity |
| somebody asks for studies that are elsewhere | C-FIND, then C-GET or C-MOVE; or QIDO-RS and WADO-RS |
"""


def dimse() -> str:
    """Return section 5: everything that goes over associations."""
    parts = [_entity(), _storage(), _transfer_syntaxes(), _query(), _commitment(), _rejections(), _errors()]
    return "\n".join(parts)


def _entity() -> str:
    node, settings = NodeSettings(), Settings().dicom
    rows = [
        ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
        ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ("Application Context", "1.2.840.10008.3.1.1.1"),
        ("AE title, port", f"{settings.ae_title}, {settings.port} (`dicom.ae_title`, `dicom.port`)"),
        ("Maximum Length Received", f"{settings.maximum_pdu_bytes} (`dicom.maximum_pdu_bytes`)"),
        ("associations at once, as acceptor", f"{settings.maximum_associations} (`dicom.maximum_associations`)"),
        ("objects before the first is answered (Asynchronous Operations Window)", str(node.operations_window)),
        ("an association may be silent", f"{settings.network_timeout_s:g} s (`dicom.network_timeout_s`)"),
        ("A-ASSOCIATE and A-RELEASE are awaited", f"{settings.acse_timeout_s:g} s (`dicom.acse_timeout_s`)"),
    ]
    return f"""## 5 DIMSE services
### 5.1 Application Entity and association policies
{table(("property", "value"), rows)}
Presentation contexts are accepted in the sender's order of transfer syntaxes, but never a lossy one where a lossless
one stands in the same context; those of queries in little endian without compression. Negotiated besides: SCP/SCU
Role Selection for what C-GET and Storage Commitment need, SOP Class Extended Negotiation of query and retrieve, SOP
Class Common Extended Negotiation (a class that is not known is taken like the storage class that it names as its
related general class), User Identity (section 9). Which callers are let in is configured (`[callers]`); with none
configured everybody may store, and nobody query.

A C-STORE is answered 0000 when the object is on disk. What parsing finds later goes to quarantine or is listed as a
conflict; the sender can learn it by Storage Commitment. Sending an instance again is harmless. An instance that was
deleted here and can still be restored is answered 0000 as well, stays deleted, and is not committed (0112).
"""


def _storage() -> str:
    rows = [
        (name, uid, YES if uid in CREATED else NO, YES, "annotation" if marks_a_study(uid) else "image")
        for uid, name in sorted(standard_storage_classes().items(), key=lambda item: item[1])
    ]
    return f"""### 5.2 Storage SOP Classes
As SCP every class of the table is taken, retired ones included, and those that `dicom.extra_sop_classes` adds; a
project may leave some out (`drop_sop_classes`: acknowledged, dropped, counted). As SCU every class that is held is
sent for C-MOVE and C-GET; the column says which are made here and
sent by themselves, to each peer those that `objects` and `instead` of `[peers.x]` name. Annotations that refer to a
study of the project by its de-identified UIDs keep their own.

{table(("SOP Class", "UID", "made here", "SCP", "taken as"), rows)}"""


def _transfer_syntaxes() -> str:
    rows = [
        (_name(uid), uid, "lossless" if is_lossless(uid) else "may be lossy", stream_media_type(uid))
        for uid in sorted(transfer_syntaxes(), key=lambda uid: [int(part) for part in uid.split(".")])
    ]
    return f"""### 5.3 Transfer syntaxes
Taken as SCP of storage, and kept as they come. As SCU an object goes as it is stored where the peer takes that, else
in Explicit, else in Implicit VR Little Endian; nothing is compressed on the way. The media type is that of its frames
and bulk data over the web (PS3.18 8.7.3).

{table(("transfer syntax", "UID", "", "media type of the stream"), rows)}"""


def _query() -> str:
    keys = {level: [key for key in sorted(_query_tags()) if level_of(key) is level] for level in QueryLevel}
    rows = [
        (level.name, ", ".join(f"{keyword_for_tag(tag)}{'*' if is_counted(tag) else ''}" for tag in tags))
        for level, tags in keys.items()
    ]
    statuses = [
        (f"{status:04X}", status_words(status).rpartition(" (")[0] or words)
        for status, words in (
            (SUCCESS, ""),
            (PENDING, ""),
            (PENDING_WITH_UNSUPPORTED_KEYS, ""),
            (CANCELLED, ""),
            (SUB_OPERATIONS_FAILED, ""),
            (0x0124, ""),
            (0xA700, ""),
            (CANNOT_PERFORM_SUB_OPERATIONS, ""),
            (DESTINATION_UNKNOWN, ""),
            (IDENTIFIER_MISMATCH, ""),
        )
    ]
    statuses = [(code, words or "a match follows; FF01 where a key was not supported") for code, words in statuses]
    return f"""### 5.4 Query and retrieve
Hierarchical, and relational once negotiated; combined date-time matching and fuzzy matching of names once negotiated;
time zone adjustment is declined. Matching: single value, list of UIDs, universal, wildcard, range, sequence. Keys
that the index knows are in the table (* is worked out for each answer; of these modalities and SOP classes can be
matched); every other public attribute of the header as
it is served is matched and returned at the IMAGE level. Projects that de-identify are asked by the identifiers that
they serve. Results of annotators are served where they may leave.

{table(("level", "keys"), rows)}
{table(("status", "meaning"), statuses)}"""


def _query_tags() -> set[int]:
    from service.archive.served_attributes import SERIES_TAGS, STUDY_TAGS

    counts = (0x00201200, 0x00201202, 0x00201204, 0x00201206, 0x00201208, 0x00201209, 0x00080061, 0x00080062)
    indexed = {key.path[0] for key in SEARCH_KEYS if len(key.path) == 1}
    return {*STUDY_TAGS, *SERIES_TAGS, *counts, *indexed}


def _commitment() -> str:
    rows = [(f"{reason.value:04X}", reason.name.replace("_", " ").lower()) for reason in FailureReason]
    return f"""### 5.5 Storage commitment
Asked by a peer: answered at once, and reported when the truth is known, on the same association (if it stays open) or
on one that we open. Committed is what is in the archive with its file in full length, asked by the UID that it came
under or by the one it is served under, by who sent it. Asked by us after delivery where `storage_commitment` of the
peer says so.

{table(("Failure Reason (0008,1197)", "meaning"), rows)}"""


def _rejections() -> str:
    rows = [(one.words, *(str(number) for number in one.answer)) for one in Rejection]
    return f"""### 5.6 Associations that are rejected
{table(("because", "Result", "Source", "Reason"), rows)}"""


def _errors() -> str:
    rows = [
        (f"{error.dimse_status:04X}", str(error.http_status), _first_line(error), error.__name__)
        for error in sorted(_error_tree(), key=lambda error: (error.dimse_status, error.http_status, error.__name__))
    ]
    return f"""### 5.7 Status codes
Each error has one DIMSE status, which is also its Failure Reason (0008,1197) in a store response, and one HTTP
status. Error Comment (0000,0902) holds the first 64 characters of what went wrong this time, never a value of the
object.

{table(("DIMSE", "HTTP", "meaning", "named in the log"), rows)}"""


def _error_tree() -> list[type[GatewayError]]:
    """Every error that an edge may answer with; the modules that define them are imported for it."""
    rooms = (dicom_nodes, service.core, service.ingest, service.web.dicomweb, service.worklist)
    for package in rooms:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    homes = ("service.errors", *(f"{package.__name__}." for package in rooms))

    def below(error: type[GatewayError]) -> Iterator[type[GatewayError]]:
        yield error
        for one in error.__subclasses__():
            yield from below(one)

    found = dict.fromkeys(below(GatewayError))
    return [error for error in found if error.__module__.startswith(homes) and not error.__name__.startswith("_")]


def dicomweb() -> str:
    """Return section 6: everything that goes over HTTP."""
    parts = [_web_head(), _resources(), _search(), _retrieve(), _store(), _capabilities()]
    return "\n".join(parts)


def _web_head() -> str:
    http = Settings().http
    return f"""## 6 DICOMweb services
HTTP/1.1 on port {http.port} (`http.port`); TLS is ended by a proxy before it. Errors are problem documents (RFC
9457). Nothing is identified over the web but by the caller: name and password (Basic) or a token (Bearer). Answers
may be gzipped or deflated where the caller takes it; ETag, If-None-Match and HEAD are answered everywhere. `accept`
and `charset` as query parameters take the headers' place (PS3.18 8.3.3). Text is UTF-8.
"""


def _resources() -> str:
    rows = [
        (method, f"`{path}`", transaction.name, f"PS3.18 {transaction.section}" if transaction.section else NO, roles)
        for path, method, transaction, roles in _routes_with_roles()
    ]
    uri = ", ".join(f"`{name}`" for name in URI_SERVICE.query)
    return f"""### 6.1 Resources
Below the root of a project; `/wado` stands beside it. WADO-URI takes {uri}.

{table(("method", "resource", "transaction", "clause", "roles"), rows)}"""


def _search() -> str:
    rows = [
        (level.name.lower(), key.keyword, ", ".join(_tag(tag) for tag in key.path), key.kind.value)
        for level in Level
        for key in SEARCH_KEYS
        if key.level is level
    ]
    kinds = [(kind.value, words) for kind, words in _documented(MatchKind).items()]
    parameters = ", ".join(f"`{name}`" for name in _parameters("search_studies"))
    return f"""### 6.2 Search (QIDO-RS)
Parameters besides the keys: {parameters}. A resource takes the keys of its own level and those above that its address
leaves open; attributes that `annogate index add` made searchable besides. A key that cannot be matched is ignored,
and a Warning header names it (PS3.18 8.3); a bad value of one that can is 400. Returned is what PS3.18 Tables
10.6.3-3 to -5 require, the keys that were given and what `includefield` names.

{table(("level", "key", "tag", "matched as"), rows)}
{table(("matched as", "how"), kinds)}"""


def _retrieve() -> str:
    retrieving = {one.name: one for _, _, one in _routes() if one.section in ("10.4", "9")}
    rows = [
        (name, "<br>".join(f"`{media_type}`" for media_type in transaction.produces))
        for name, transaction in retrieving.items()
    ]
    return f"""### 6.3 Retrieve (WADO-RS, WADO-URI)
The first media type is the default. Explicit VR Little Endian is the default transfer syntax of every category;
Implicit VR Little Endian and Explicit VR Big Endian are never sent; `transfer-syntax=*` sends what is stored. Objects
that may be lossy go as they are stored unless Explicit VR Little Endian is named. What was deleted is 410; what
cannot be had in a form that is asked for is 406 with those that can. Rendered images: {", ".join(IMAGE_TYPES)}.

{table(("transaction", "media types"), rows)}"""


def _store() -> str:
    transaction = transaction_of("store")
    taken = ", ".join(f"`{media_type}`" for media_type in transaction.consumes)
    warnings = [(f"{reason.value:04X}", words) for reason, words in _numbered(WarningReason)]
    told = [(f"{code:04X}", _meaning(code), advice) for code, advice in sorted(ADVICE.items())]
    return f"""### 6.4 Store (STOW-RS)
Taken: {taken}. The answer comes after ingest, with one result an instance. **In a project that de-identifies, success
without a Warning Reason means that the instance is stored in de-identified form, under the new UIDs that the response
names: Original Attributes Sequence is never written there, since it would give away what was taken out.** Where a
project keeps objects as they come they come out byte for byte in their data set. The words beside a code stand in a
private element of the same item (section 10.2).

{table(("Warning Reason (0008,1196)", "meaning"), warnings)}
{table(("Failure Reason (0008,1197)", "meaning", "what to do"), told)}"""


def _meaning(code: int) -> str:
    if code == GatewayError.dimse_status:
        return _first_line(GatewayError).rstrip(".")
    edges = ("dicom_nodes.errors", "service.errors", "service.ingest.", "service.web.dicomweb.")
    told = [error for error in _error_tree() if error.dimse_status == code and error.__module__.startswith(edges)]
    return "; ".join(dict.fromkeys(_first_line(error).rstrip(".") for error in told))


def _capabilities() -> str:
    return f"""### 6.5 Capabilities (PS3.18 8.9)
OPTIONS at the root and at every resource answers with what it and all below it take and give, as `{WADL}` (default)
or `{JSON}` (PS3.18 Annex G), and with the methods of the address in Allow.
"""


def media() -> str:
    """Return section 7."""
    return """## 7 Media interchange
None.
"""


def character_sets() -> str:
    """Return section 8."""
    known = ", ".join(f"`{name}`" for name in sorted(name for name in python_encoding if name))
    return f"""## 8 Character sets
Read, with code extensions: the default repertoire, {known}. Searches and metadata are answered in UTF-8 (`ISO_IR
192`); C-FIND answers in the single character set of the query where it has every letter, else in `ISO_IR 192`. What
leaves for a peer is written in the character set that its study came in, or in `ISO_IR 192` where that cannot hold
all of its texts.
"""


def security() -> str:
    """Return section 9."""
    profiles = [
        (f"`{one.value}`", words, ", ".join(one.cipher_suites)) for one, words in _documented_members(TlsProfile)
    ]
    roles = [(role.value, words) for role, words in _documented_members(Role)]
    options = []
    for path in sorted(PROFILES.glob("*.toml")):
        profile = load_profile(PROFILES, path.stem)
        codes = [f"{OPTION_CODES[option][0]} {OPTION_CODES[option][1]}" for option in sorted(profile.options)]
        options.append((f"`{profile.name}`", profile.title, "; ".join(codes) or NO))
    return f"""## 9 Security
### 9.1 Secure transport
DIMSE over TLS by the profiles of PS3.15 Annex B, TLS 1.2 and 1.3 (`dicom.tls`); callers have to show a certificate
unless `dicom.tls.mutual` is off. HTTP behind a proxy that ends TLS.

{table(("`dicom.tls.profile`", "profile", "suites of TLS 1.2"), profiles)}
### 9.2 Who may
User Identity Negotiation (PS3.7 D.3.3.7): user name, with or without password, as SCP and as SCU; Kerberos, SAML and
JWT are never confirmed. Over HTTP each caller has one role in the projects that are granted
([security](security.md)).

{table(("role", "may"), roles)}
### 9.3 Audit trail
Each access and decision is a row (PS3.15 A.5 in what it holds, not in its form); it holds no identity, and a chain of
HMACs shows what was changed.

### 9.4 De-identification (PS3.15 Annex E)
The Basic Application Confidentiality Profile with the options below; what was applied stands in De-identification
Method Code Sequence (0012,0064) of each object. Dates are moved by a span of each patient's own where 113107 stands.
What becomes of each attribute: [De-identification coverage](deidentification-coverage.md).

{table(("profile", "title", "options (CID 7050)"), options)}"""


def annexes() -> str:
    """Return section 10."""
    created = [(_name(uid), uid, words) for uid, words in CREATED.items()]
    kept = sorted((_name(uid), uid) for uid in ANNOTATIONS)
    return f"""## 10 Annexes
### 10.1 Objects that are made here
Held against the standard's modules before they are kept, and again before they leave ([objects](objects.md)).

{table(("SOP Class", "UID", "what it holds"), created)}
Taken as annotations besides reports and presentation states: {", ".join(f"{name} ({uid})" for name, uid in kept)}.

### 10.2 Private attributes
| tag | creator | VR | where |
| --- | --- | --- | --- |
| (0099,xx01) | ANNOGATE | ST | items of a store response: what a Warning or Failure Reason means this time |

### 10.3 Standard extended, specialised or private SOP Classes and transfer syntaxes
None are defined. Private storage classes of a site are taken where `dicom.extra_sop_classes` names them.
"""


def _routes() -> list[tuple[str, str, Transaction]]:
    return [(path, method, transaction) for path, method, transaction, _ in _routes_with_roles()]


def _routes_with_roles() -> list[tuple[str, str, Transaction, str]]:
    """Every address of DICOMweb, as the standard names its places, by method, with who may."""
    names, root = (DICOMWEB_BLUEPRINTS[0], WORKLIST_BLUEPRINTS[0]), "/dicom-web"
    app = Flask("conformance")
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    nothing: Any = None  # the routes are told without anything behind them
    services = DicomWebServices(index=nothing, search=nothing, blobs=nothing, store=nothing, projects=())
    app.register_blueprint(dicomweb_blueprint(services), name=names[0], url_prefix=root)
    app.register_blueprint(ups_blueprint(services, nothing), name=names[1], url_prefix=root)
    found = []
    for path, methods in sorted(resources(app.url_map, root).items()):
        for method, endpoint in sorted(methods.items()):
            rows = (row_of(f"{name}.{endpoint}", method) for name in names)
            roles = ", ".join(sorted(next(row.roles for row in rows if row is not None)))
            found.append((_as_template(path), method, transaction_of(endpoint), roles))
    by_uri = row_of(f"{WADO_URI_BLUEPRINTS[0]}.retrieve", "GET")
    return [*found, ("/wado", "GET", URI_SERVICE, ", ".join(sorted(by_uri.roles)) if by_uri else NO)]


def _as_template(path: str) -> str:
    for name, shown in PLACES.items():
        path = path.replace(f"<{name}>", "{" + shown + "}").replace(f"<path:{name}>", "{" + shown + "}")
    return path


def _parameters(endpoint: str) -> list[str]:
    return [name for name in transaction_of(endpoint).query if name[0].islower()]


def _documented_members(kind: type[Enum]) -> list[tuple[Any, str]]:
    words = _documented(kind)
    return [(member, words.get(member, "")) for member in kind]


def _numbered(kind: type[Enum]) -> list[tuple[Any, str]]:
    return [(member, words.rstrip(".")) for member, words in _documented_members(kind)]


def _documented(kind: type[Enum]) -> Mapping[Any, str]:
    """The members of an enumeration with the strings that stand below them in its source."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 (the source of a class)
    found: dict[Any, str] = {}
    name = ""
    for statement in definition.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            found[kind[name]] = name.replace("_", " ").lower()
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            found[kind[name]] = " ".join(str(statement.value.value).split())
    return found


def _first_line(error: type[GatewayError]) -> str:
    return (inspect.getdoc(error) or "").splitlines()[0].replace("|", "\\|")


def _name(uid: str) -> str:
    known = UID(uid).name
    return standard_storage_classes().get(uid, uid) if known == uid else known


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Write the statement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.parse_args().out.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
