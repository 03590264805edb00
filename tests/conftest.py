"""Fixtures that every test may use, and what becomes of a test whose peer is not installed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.listening_node import SETTINGS
from tests.migrated_index import migrated_once

# `make test` draws the same examples each time, so that what lands does not hang on chance; `make fuzz` draws new ones.
# Without a deadline: what an example takes tells of the machine, not of the code.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("fuzz", print_blob=True, deadline=None)

LONG_BYTES = 16
OUT_OF_TIME = "this machine was too slow for all of them"
IN_POSTGRESQL = os.environ.get("ANNOGATE_TEST_INDEX") == "postgresql"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one worker: what a module shares is made once then, and not once in each."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name long bytes by their length alone.

    What they say may differ from one worker to the next (gzip writes the time), which would then disagree about what
    there is to test; and nobody reads a name of a thousand escapes.
    """
    return f"{len(val)}-bytes" if isinstance(val, bytes) and len(val) > LONG_BYTES else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested for want of time."""
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = [report.nodeid.partition("@")[0] for report in skipped if OUT_OF_TIME in str(report.longrepr)]
    if left_out:
        files = sorted({name.partition("::")[0] for name in left_out})
        terminalreporter.section(f"NOT TESTED: {len(left_out)} tests, {OUT_OF_TIME}")
        terminalreporter.write_line("\n".join(files))


# What proves that a Debian package is there. dcmtk by absolute path: pynetdicom installs commands of the same names.
PEERS = {
    "chromium": "/usr/bin/chromium",
    "dcmtk": "/usr/bin/storescu",
    "dicom3tools": "/usr/bin/dciodvfy",
    "orthanc": "/usr/sbin/Orthanc",
    "orthanc-dicomweb": "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "strace": "/usr/bin/strace",
    "npm": "npm",
    "postgresql": "/usr/lib/postgresql/*/bin/initdb",
}

REPOSITORY = Path(__file__).resolve().parent.parent


def _present(package: str) -> bool:
    place = PEERS[package]
    return any(Path("/").glob(place[1:])) if place.startswith("/") else shutil.which(place) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peer is missing, naming the package; fail it where peers are required.

    Begin none after the time that ``.ci/run`` sets: it would be cut off, and nothing would be known of any.
    """
    if time.time() > float(os.environ.get("ANNOGATE_TESTS_UNTIL", "inf")):
        pytest.skip(OUT_OF_TIME)
    if IN_POSTGRESQL and item.get_closest_marker("sqlite"):
        pytest.skip("looks into SQLite's own file")
    for mark in item.iter_markers("peer"):
        missing = [package for package in mark.args if not _present(package)]
        if missing:
            words = f"needs the Debian package {', '.join(missing)}"
            if os.environ.get("ANNOGATE_REQUIRE_PEERS") == "1":
                pytest.fail(words, pytrace=False)
            pytest.skip(words)


@pytest.fixture(scope="session", autouse=True)
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Every index is a copy of one that was migrated: a file, or in PostgreSQL with ANNOGATE_TEST_INDEX=postgresql."""
    if IN_POSTGRESQL:
        from tests.postgresql_indexes import indexes_in_postgresql  # its driver is not loaded where nobody needs it

        with indexes_in_postgresql() as lent:
            yield lent
    else:
        with migrated_once(tmp_path_factory.mktemp("migrated")):
            yield nullcontext


@pytest.fixture(scope="module", autouse=True)
def _round_each_module(_migrated_once: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Indexes that the tests of a module share go with the last of them."""
    with _migrated_once():
        yield


@pytest.fixture(autouse=True)
def _round_each_test(_migrated_once: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Its indexes go with a test."""
    with _migrated_once():
        yield


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Undo what a command that runs in the test's own process sets up for its log."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module", params=["fast", "pynetdicom"])
def receive_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways in which a node reads an association's data; every node of the test's module then reads so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SETTINGS, "receive_path", request.param)
        yield request.param


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the project."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images beside the project; the test is skipped where they are absent."""
    folder = Path(os.environ.get("ANNOGATE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "MANIFEST.md").is_file():
        pytest.skip("no real images beside the project (../shared/data)")
    return folder
