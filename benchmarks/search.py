"""QIDO-RS as the archive grows: the time of a fixed list of searches, and the rate of registration, at two sizes.

``python -m benchmarks.search [--instances N] [--rounds N] [--postgresql]``. The rows are made
(`benchmarks.archive_rows`): 10,000 instances beside N (1,000,000), in SQLite or in a PostgreSQL that is started for it.
Each search asks for a page of 100 over the index, without HTTP; each has at least one key that an index finds, but for
those with a leading wildcard, which are told apart. Sizes alternate, so that what else the machine does meets both;
only ratios of one run mean anything.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.archive_rows import INSTANCES_OF_A_STUDY, PROJECT, MadeStudy, fill
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.prepared import PreparedInstance
from service.archive.search import InstanceSearch
from service.core.search import Level, SearchQuery
from service.web.dicomweb.qido_parameters import parse_search
from tests.postgresql_server import postgresql_server

SMALL = 10_000
LIMIT = "100"
REGISTERED_STUDIES = 20

Draw = Callable[[MadeStudy], dict[str, str]]
SEARCHES: tuple[tuple[str, Level, Draw], ...] = (
    ("studies ?PatientID", Level.STUDY, lambda one: {"PatientID": one.patient_id}),
    ("studies ?PatientID=…*", Level.STUDY, lambda one: {"PatientID": f"{one.patient_id[:-1]}*"}),
    ("studies ?AccessionNumber", Level.STUDY, lambda one: {"AccessionNumber": one.accession_number}),
    ("studies ?StudyInstanceUID", Level.STUDY, lambda one: {"StudyInstanceUID": one.uid}),
    ("studies ?PatientName", Level.STUDY, lambda one: {"PatientName": one.patient_name.upper()}),
    ("studies ?PatientName=…*", Level.STUDY, lambda one: {"PatientName": f"{one.surname[:5]}*"}),
    (
        "studies ?PatientName, fuzzy",
        Level.STUDY,
        lambda one: {"PatientName": f"{one.patient_name[-3:]} {one.surname[1:]}", "fuzzymatching": "true"},
    ),
    ("studies ?StudyDate", Level.STUDY, lambda one: {"StudyDate": one.date}),
    ("studies ?StudyDate range", Level.STUDY, lambda one: {"StudyDate": f"{one.date[:6]}01-"}),
    (
        "studies ?StudyDate and StudyTime ranges",
        Level.STUDY,
        lambda one: {"StudyDate": f"{one.date}-{one.date}", "StudyTime": "0800-1200"},
    ),
    (
        "studies ?ModalitiesInStudy&StudyDate",
        Level.STUDY,
        lambda one: {"ModalitiesInStudy": one.modality, "StudyDate": one.date},
    ),
    ("studies ?ModalitiesInStudy", Level.STUDY, lambda one: {"ModalitiesInStudy": one.modality}),
    ("series ?SeriesInstanceUID", Level.SERIES, lambda one: {"SeriesInstanceUID": one.series_uid(1)}),
    ("series ?Modality", Level.SERIES, lambda one: {"Modality": one.modality}),
    ("series ?SeriesNumber", Level.SERIES, lambda _: {"SeriesNumber": "2"}),
    ("series ?Modality&StudyDate", Level.SERIES, lambda one: {"Modality": one.modality, "StudyDate": one.date}),
    ("series ?PatientID", Level.SERIES, lambda one: {"PatientID": one.patient_id}),
    (
        "series ?RequestAttributesSequence.…",
        Level.SERIES,
        lambda one: {"RequestAttributesSequence.ScheduledProcedureStepID": one.step_id},
    ),
    ("instances ?SOPInstanceUID", Level.INSTANCE, lambda one: {"SOPInstanceUID": one.instance_uid(1, 7)}),
    ("instances ?SOPClassUID", Level.INSTANCE, lambda _: {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}),
    ("instances ?InstanceNumber", Level.INSTANCE, lambda _: {"InstanceNumber": "7"}),
    ("instances ?PatientID", Level.INSTANCE, lambda one: {"PatientID": one.patient_id}),
    (
        "instances ?StudyDate&Modality",
        Level.INSTANCE,
        lambda one: {"StudyDate": one.date, "Modality": one.modality},
    ),
    ("instances ?PatientName=…*", Level.INSTANCE, lambda one: {"PatientName": f"{one.surname}*"}),
)
APART: tuple[tuple[str, Level, Draw], ...] = (
    ("studies ?PatientName=*…*", Level.STUDY, lambda one: {"PatientName": f"*{one.surname[2:6]}*"}),
    ("studies ?AccessionNumber=*…", Level.STUDY, lambda one: {"AccessionNumber": f"*{one.accession_number[-4:]}"}),
)


@dataclass
class Archive:
    """An index of one size, and what was measured on it."""

    location: str
    studies: int
    times: dict[str, list[float]] = field(default_factory=dict)
    registered: list[float] = field(default_factory=list)

    def measure(self, database: Database, name: str, level: Level, draw: Draw, seed: int) -> None:
        """One search, for what a study drawn by ``seed`` has."""
        study = MadeStudy(random.Random(seed).randrange(self.studies))
        parameters = [*draw(study).items(), ("limit", LIMIT)]
        search = InstanceSearch(database)
        began = time.perf_counter()
        search.search(parse_search(SearchQuery(PROJECT, level), parameters, 1000).query)
        self.times.setdefault(name, []).append(time.perf_counter() - began)

    def register(self, database: Database, number: int) -> None:
        """Register one study of the last day, as ingest does: prepared before, in one transaction."""
        prepared = [PreparedInstance.of(new) for new in MadeStudy(-1 - number).new_instances(time.time())]
        began = time.perf_counter()
        InstanceIndex(database, time.time).add_all(prepared)
        self.registered.append(INSTANCES_OF_A_STUDY / (time.perf_counter() - began))

    def p95(self, names: list[str]) -> float:
        """The time that one in twenty takes longer, in seconds."""
        return statistics.quantiles([one for name in names for one in self.times[name]], n=20)[-1]


@contextmanager
def indexes(folder: Path, sizes: tuple[int, int], *, postgresql: bool) -> Iterator[list[Archive]]:
    """Two filled indexes."""
    with postgresql_server() if postgresql else nullcontext() as server:
        found = []
        for size in sizes:
            name = f"rows_{size}"
            if server is not None:
                server.create(name)
            location = str(folder / f"{name}.sqlite") if server is None else server.url(name)
            began = time.perf_counter()
            found.append(Archive(location, fill(location, size)))
            print(f"{size:,} instances made in {time.perf_counter() - began:.0f} s", flush=True)
        yield found


def measured(archives: list[Archive], rounds: int) -> None:
    """Every search at both sizes, in alternation and another order each round; then registration."""
    open_ = [Database.open(archive.location) for archive in archives]
    pairs = list(zip(archives, open_, strict=True))
    for turn in range(-1, rounds):
        order = [*SEARCHES, *APART]
        random.Random(turn).shuffle(order)
        for number, (name, level, draw) in enumerate(order):
            for archive, database in pairs if turn % 2 else reversed(pairs):
                archive.measure(database, name, level, draw, 1000 * turn + number)
    for archive in archives:
        archive.times = {name: times[1:] for name, times in archive.times.items()}  # the first one warms up
    for number in range(REGISTERED_STUDIES):
        for archive, database in pairs if number % 2 else reversed(pairs):
            archive.register(database, number)
    for database in open_:
        database.close()


def report(small: Archive, large: Archive) -> None:
    """Print a table: times in ms, and what counts, their ratios."""
    print("| search, 100 results at most | median, small | median, large | ratio |")
    print("| --- | --- | --- | --- |")
    for group, searches in (("", SEARCHES), (" (apart)", APART)):
        for name, _, _ in searches:
            one, other = statistics.median(small.times[name]), statistics.median(large.times[name])
            print(f"| {name}{group} | {1000 * one:.1f} | {1000 * other:.1f} | {other / one:.2f} |")
    names = [name for name, _, _ in SEARCHES]
    one, other = small.p95(names), large.p95(names)
    print(f"| p95 of all but those apart | {1000 * one:.1f} | {1000 * other:.1f} | {other / one:.2f} |")
    one, other = statistics.median(small.registered), statistics.median(large.registered)
    print(f"| registration, instances a second | {one:.0f} | {other:.0f} | {other / one:.2f} |")


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--postgresql", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="annogate-search-") as folder,
        indexes(Path(folder), (SMALL, given.instances), postgresql=given.postgresql) as archives,
    ):
        measured(archives, given.rounds)
        report(*archives)


if __name__ == "__main__":
    main()
