"""What somebody sees of a project: by role, in the index, in searches, and what DIMSE peers are served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from service.archive.accounts import Accounts
from service.archive.archive_queries import ArchiveQueries
from service.archive.database import Database
from service.archive.instances import InstanceIndex
from service.archive.migration import MIGRATIONS
from service.archive.search import InstanceSearch
from service.core.access import EVERY_PROJECT, LOCAL_ADMINISTRATOR, Caller, CallerKind, Role
from service.core.archive_query import ArchiveQuery, QueryLevel, ServedResults
from service.core.records import NewInstance, ObjectKind
from service.core.search import SEARCH_KEYS, Level, Match, SearchQuery
from service.core.view import EVERYTHING, View, view_of
from tests.archived import SetClock, new_instance
from tests.datasets import ct_slice

STUDY, LONE = "1.2.3", "1.2.4"
ANNA, BERT = View("anna"), View("bert")
SERVED = ServedResults(frozenset({"nodules"}), without_approval=True)
KEYS = {key.keyword: key for key in SEARCH_KEYS}
MODALITIES, STUDY_UID = KEYS["ModalitiesInStudy"], KEYS["StudyInstanceUID"]


def mark(study: str, number: int, modality: str, kind: ObjectKind, author: str = "") -> NewInstance:
    header = ct_slice(number, study_uid=study, series_uid=f"{study}.{number}")
    header.Modality = modality
    annotator = "nodules" if kind is ObjectKind.RESULT else ""
    return new_instance(header, kind=kind, author=author, annotator=annotator)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A study with an image, a result, annotations of two readers and of nobody known; one that only Anna marked."""
    with Database.open(tmp_path_factory.mktemp("views") / "index.sqlite") as database:
        index = InstanceIndex(database, SetClock())
        index.add(mark(STUDY, 1, "CT", ObjectKind.IMAGE))
        index.add(mark(STUDY, 2, "SEG", ObjectKind.RESULT))
        index.add(mark(STUDY, 3, "SR", ObjectKind.ANNOTATION, "anna"))
        index.add(mark(STUDY, 4, "PR", ObjectKind.ANNOTATION, "bert"))
        index.add(mark(STUDY, 5, "KO", ObjectKind.ANNOTATION))
        index.add(mark(LONE, 1, "SR", ObjectKind.ANNOTATION, "anna"))
        yield database


SEEN = {
    EVERYTHING: {1, 2, 3, 4, 5},
    ANNA: {1, 2, 3},
    BERT: {1, 2, 4},
    View("bert", results=False): {1, 4},
    View("", results=True): {1, 2},
    View(None, results=False): {1, 3, 4, 5},
}
each_view = pytest.mark.parametrize(("view", "numbers"), SEEN.items(), ids=str)


@pytest.mark.parametrize("sees_models", [True, False])
@pytest.mark.parametrize("role", list(Role))
def test_only_readers_have_a_view_of_their_own(role: Role, sees_models: bool) -> None:
    caller = Caller("name", CallerKind.USER, role, frozenset({EVERY_PROJECT}), "account")
    expected = View("account", sees_models) if role is Role.READER else EVERYTHING
    assert view_of(caller, readers_see_models=sees_models) == expected


def test_whoever_is_on_this_machine_sees_everything() -> None:
    assert view_of(LOCAL_ADMINISTRATOR, readers_see_models=False) == EVERYTHING


@each_view
def test_every_look_into_the_index_keeps_to_the_view(database: Database, view: View, numbers: set[int]) -> None:
    seen = InstanceIndex(database, SetClock()).seen_by(view)
    uids = {f"{STUDY}.{number}.{number}" for number in numbers}
    assert {row.sop_instance_uid for row in seen.instances_of("default", STUDY)} == uids
    assert {uid for uid in (f"{STUDY}.{n}.{n}" for n in range(1, 6)) if seen.find("default", uid)} == uids
    assert {row.series_uid for row in seen.series_of("default", STUDY)} == {f"{STUDY}.{number}" for number in numbers}
    assert len(seen.metadata_of("default", STUDY)) == len(numbers)
    assert len(seen.metadata_of("default", STUDY, visible_only=False)) == len(numbers)
    summaries = {one.study.study_uid: one for one in seen.studies("default")}
    assert (summaries[STUDY].instances, summaries[STUDY].series) == (len(numbers), len(numbers))


@pytest.mark.parametrize(("view", "found"), [(EVERYTHING, True), (ANNA, True), (BERT, False)])
def test_study_that_only_another_reader_marked_is_not_there(database: Database, view: View, found: bool) -> None:
    seen = InstanceIndex(database, SetClock()).seen_by(view)
    assert (seen.study("default", LONE) is not None) is found
    assert (LONE in {one.study.study_uid for one in seen.studies("default")}) is found
    searched = InstanceSearch(database).search(SearchQuery("default", Level.STUDY, view=view)).found
    assert (LONE in {one.study_uid for one in searched}) is found


@each_view
def test_searches_find_and_count_what_the_view_has(database: Database, view: View, numbers: set[int]) -> None:
    search = InstanceSearch(database)
    for level in (Level.SERIES, Level.INSTANCE):
        page = search.search(SearchQuery("default", level, study_uid=STUDY, limit=1, view=view))
        assert 1 + page.remaining == len(numbers)
    (study,) = search.search(
        SearchQuery("default", Level.STUDY, matches=(Match(STUDY_UID, (STUDY,)),), view=view)
    ).found
    counts = [study.attributes[tag]["Value"] for tag in ("00201206", "00201208")]
    assert counts == [[len(numbers)], [len(numbers)]]
    assert len(study.attributes["00080061"]["Value"]) == len(numbers)


@pytest.mark.parametrize(("modality", "found"), [("SR", False), ("PR", True), ("KO", False), ("CT", True)])
def test_modality_of_what_is_not_seen_finds_no_study(database: Database, modality: str, found: bool) -> None:
    query = SearchQuery("default", Level.STUDY, matches=(Match(MODALITIES, (modality,)),), view=BERT)
    assert bool(InstanceSearch(database).search(query).found) is found


def test_peers_are_served_no_readers_annotation(database: Database) -> None:
    queries = ArchiveQueries(database)
    numbers = queries.matching(ArchiveQuery("default", QueryLevel.IMAGE, SERVED))
    uids = {row.sop_instance_uid for row in queries.instances(numbers)}
    assert uids == {f"{STUDY}.{number}.{number}" for number in (1, 2, 5)}
    assert len(queries.matching(ArchiveQuery("default", QueryLevel.STUDY, SERVED))) == 1
    for modality, count in (("SR", 0), ("PR", 0), ("KO", 1), ("SEG", 1)):
        asked = ArchiveQuery("default", QueryLevel.STUDY, SERVED, matches=(Match(MODALITIES, (modality,)),))
        assert len(queries.matching(asked)) == count


@pytest.mark.sqlite
def test_users_of_an_older_index_are_given_accounts(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0013")
        for name in ("anna", "bert"):
            row = (name, "hash", "reader", 1.0)
            connection.exec_driver_sql(
                "INSERT INTO users (name, password_hash, role, created_at) VALUES (?, ?, ?, ?)", row
            )
        command.upgrade(config, "head")
    engine.dispose()
    with Database.open(tmp_path / "index.sqlite") as database:
        ids = [user.id for user in Accounts(database, SetClock()).users()]
    assert {len(one) for one in ids} == {32}
    assert len(set(ids)) == 2
