"""C-FIND as SCP: what matches, what comes back, what is refused; asked by our own SCU and by findscu."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicom_nodes.peer import PeerUnavailable
from dicom_nodes.query_model import Model, QueryLevel, QueryOptions
from dicom_nodes.query_scu import QueryAssociation, QueryFailed, find
from dicom_nodes.requestor import RequestorSettings
from service.archive.archive_queries import ArchiveQueries
from service.core.archive_query import ArchiveQuery, ServedResults
from service.core.archive_query import QueryLevel as ArchiveLevel
from service.core.matching import ValueMatch
from service.core.records import NewInstance
from service.core.search import MatchKind
from service.dimse.query_event import QueryEventKind
from service.errors import StorageExhausted
from tests.archived import new_instance
from tests.datasets import ct_slice
from tests.listening_node import Listening
from tests.patience import PATIENCE_S
from tests.query_house import OWN, QueryHouse, answering, ask, keyed, query_house

RELATIONAL = QueryOptions(relational=True)
ONE, TWO, THREE = "1.2.1", "1.2.2", "1.2.3"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryHouse]:
    with query_house(tmp_path_factory.mktemp("archive")) as held:
        held.add_study(
            ONE,
            PatientID="P-1",
            PatientName="Müller^Jörg",
            StudyDate="20240301",
            StudyTime="080000",
            AccessionNumber="A-1",
        )
        held.add_study(
            TWO,
            PatientID="P-1",
            PatientName="Müller^Jörg",
            StudyDate="20240302",
            StudyTime="2000",
            AccessionNumber="A-2",
        )
        code = keyed(CodeValue="CTCHEST", CodingSchemeDesignator="99X", CodeMeaning="CT chest")
        request = keyed(RequestedProcedureID="R-7", ScheduledProcedureStepID="S-7")
        held.add_study(
            THREE,
            slices=3,
            PatientID="P-2",
            PatientName="Doe^Jane=山田^花子",
            StudyDate="20240305",
            StudyTime="",
            AccessionNumber="A-3",
            StudyDescription="MR head",
            Modality="MR",
            ProcedureCodeSequence=[code],
            RequestAttributesSequence=[request],
        )
        held.add_study("1.2.9", project="other", PatientID="P-9", AccessionNumber="A-1")
        yield held


@pytest.fixture(scope="module")
def node(house: QueryHouse) -> Iterator[Listening]:
    with answering(house.query_service()) as listening:
        yield listening


def studies(node: Listening, options: QueryOptions | None = None, **keys: Any) -> list[str]:
    return sorted(found.StudyInstanceUID for found in ask(node, "STUDY", options=options, StudyInstanceUID="", **keys))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, [ONE, TWO, THREE]),
        ({"AccessionNumber": "A-1"}, [ONE]),
        ({"AccessionNumber": "A-?"}, [ONE, TWO, THREE]),
        ({"AccessionNumber": "a-1"}, []),
        ({"AccessionNumber": "*"}, [ONE, TWO, THREE]),
        ({"PatientID": "P-1"}, [ONE, TWO]),
        ({"PatientName": "doe^jane"}, [THREE]),
        ({"PatientName": "DOE*"}, [THREE]),
        ({"PatientName": "山田*"}, [THREE]),
        ({"PatientName": "müller*"}, [ONE, TWO]),
        ({"PatientName": "MÜLLER^JÖRG"}, [ONE, TWO]),
        ({"PatientName": "Muller*"}, []),
        ({"StudyDate": "20240302"}, [TWO]),
        ({"StudyDate": "20240302-"}, [TWO, THREE]),
        ({"StudyDate": "-20240301"}, [ONE]),
        ({"StudyDate": "20240301-20240302"}, [ONE, TWO]),
        ({"StudyDate": "2024.03.01"}, [ONE]),
        ({"StudyTime": "08"}, [ONE]),
        ({"StudyTime": "0800-1200"}, [ONE]),
        ({"StudyTime": "1900-2000"}, [TWO]),
        ({"ModalitiesInStudy": "MR"}, [THREE]),
        ({"ModalitiesInStudy": ["MR", "CT"]}, [ONE, TWO, THREE]),
        ({"StudyDescription": "MR*"}, [THREE]),
        ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.4"}, []),
        ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2"}, [ONE, TWO, THREE]),
        ({"ProcedureCodeSequence": [keyed(CodeValue="CTCHEST")]}, [THREE]),
        ({"ProcedureCodeSequence": [keyed(CodeValue="CTCHEST", CodingSchemeDesignator="DCM")]}, []),
        ({"ProcedureCodeSequence": [keyed(CodeValue="CT*", CodeMeaning="")]}, [THREE]),
    ],
)
def test_studies_match_as_the_standard_says(node: Listening, keys: dict[str, Any], expected: list[str]) -> None:
    assert studies(node, **keys) == expected


def test_list_of_uids_finds_each(node: Listening) -> None:
    found = ask(node, "STUDY", StudyInstanceUID=[ONE, THREE, "1.2.8"])
    assert sorted(study.StudyInstanceUID for study in found) == [ONE, THREE]


def test_date_and_time_ranges_stand_alone_unless_negotiated(node: Listening) -> None:
    keys = {"StudyDate": "20240301-20240302", "StudyTime": "1200-2100"}
    assert studies(node, **keys) == [TWO]
    keys = {"StudyDate": "20240301-20240302", "StudyTime": "0700-0300"}
    assert studies(node, **keys) == []
    assert studies(node, QueryOptions(date_time=True), **keys) == [ONE]


def test_accents_are_left_out_once_negotiated(node: Listening) -> None:
    assert studies(node, QueryOptions(fuzzy=True), PatientName="muller^jorg") == [ONE, TWO]


def test_patient_root_finds_each_patient_once(node: Listening) -> None:
    found = ask(node, "PATIENT", Model.PATIENT_ROOT, PatientID="", NumberOfPatientRelatedStudies="", PatientName="")
    assert {(patient.PatientID, patient.NumberOfPatientRelatedStudies) for patient in found} == {("P-1", 2), ("P-2", 1)}


def test_counts_are_told_where_asked_for(node: Listening) -> None:
    (study,) = ask(
        node,
        "STUDY",
        StudyInstanceUID=THREE,
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        ModalitiesInStudy="",
        NumberOfPatientRelatedInstances="",
    )
    assert study.NumberOfStudyRelatedSeries == 1
    assert study.NumberOfStudyRelatedInstances == 3
    assert study.ModalitiesInStudy == "MR"
    assert study.NumberOfPatientRelatedInstances == 3


def test_series_and_images_are_found_below_their_study(node: Listening) -> None:
    (series,) = ask(
        node, "SERIES", StudyInstanceUID=THREE, SeriesInstanceUID="", Modality="", NumberOfSeriesRelatedInstances=""
    )
    assert (series.Modality, series.NumberOfSeriesRelatedInstances) == ("MR", 3)
    images = ask(
        node,
        "IMAGE",
        StudyInstanceUID=THREE,
        SeriesInstanceUID=series.SeriesInstanceUID,
        SOPInstanceUID="",
        InstanceNumber="2",
        SliceThickness="",
        AvailableTransferSyntaxUID="",
    )
    assert [(image.InstanceNumber, image.SliceThickness) for image in images] == [(2, 2)]
    assert images[0].AvailableTransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"SliceThickness": "2.0"}, [1, 2, 3]),
        ({"SliceThickness": "2.5"}, []),
        ({"ImagePositionPatient": "4"}, [2]),
        ({"ImagePositionPatient": ["4", "6.0"]}, [2, 3]),
        ({"ImageType": "AX*"}, [1, 2, 3]),
        ({"ImageType": "axial"}, []),
        ({"AcquisitionDate": "20240301-"}, [1, 2, 3]),
        ({"AcquisitionDate": "-20240301", "InstanceNumber": "2"}, []),
        ({"Rows": 16, "BitsAllocated": 16}, [1, 2, 3]),
        ({"Columns": 17}, []),
        ({"AvailableTransferSyntaxUID": "1.2.840.10008.1.2.1"}, [1, 2, 3]),
        ({"AvailableTransferSyntaxUID": "1.2.840.10008.1.2.4.50"}, []),
        ({"PatientPosition": "HFS", "Rows": 16, "InstanceNumber": "3"}, [3]),
        ({"ContrastBolusAgent": "*", "InstanceNumber": "3"}, [3]),
        ({"ContrastBolusAgent": "?*"}, []),
    ],
)
def test_images_match_by_any_attribute_of_their_header(
    node: Listening, keys: dict[str, Any], expected: list[int]
) -> None:
    wanted = {"StudyInstanceUID": THREE, "SeriesInstanceUID": f"{THREE}.1", "SOPInstanceUID": "", "InstanceNumber": ""}
    assert sorted(image.InstanceNumber for image in ask(node, "IMAGE", **(wanted | keys))) == expected


@pytest.mark.parametrize("keys", [{"AcquisitionDate": "today"}, {"IrradiationEventUID": "1.x"}])
def test_attribute_of_images_that_is_none_is_refused(node: Listening, keys: dict[str, Any]) -> None:
    above = {"StudyInstanceUID": THREE, "SeriesInstanceUID": f"{THREE}.1", "SOPInstanceUID": ""}
    with pytest.raises(QueryFailed, match="A900"):
        ask(node, "IMAGE", **above, **keys)


def test_more_images_than_can_be_compared_are_refused(house: QueryHouse) -> None:
    queries = ArchiveQueries(house.database, most_compared=4)
    by_header = ArchiveQuery(
        "default",
        ArchiveLevel.IMAGE,
        ServedResults(),
        instance_conditions=(ValueMatch("00180050", MatchKind.NUMBER, ("2",)),),
    )
    by_columns = replace(by_header, instance_conditions=(ValueMatch("00280010", MatchKind.NUMBER, ("16",)),))
    assert len(queries.matching(by_columns)) == 7
    with pytest.raises(StorageExhausted, match="name a study or series"):
        queries.matching(by_header)


def test_request_attributes_are_matched_in_one_item(node: Listening) -> None:
    wanted = [keyed(RequestedProcedureID="R-7", ScheduledProcedureStepID="")]
    (series,) = ask(node, "SERIES", StudyInstanceUID=THREE, SeriesInstanceUID="", RequestAttributesSequence=wanted)
    assert series.RequestAttributesSequence[0].ScheduledProcedureStepID == "S-7"
    other = [keyed(RequestedProcedureID="R-7", ScheduledProcedureStepID="S-8")]
    assert not ask(node, "SERIES", StudyInstanceUID=THREE, SeriesInstanceUID="", RequestAttributesSequence=other)


def test_answer_has_what_was_asked_for_and_where_to_fetch_it(node: Listening) -> None:
    (study,) = ask(node, "STUDY", StudyInstanceUID=THREE, StudyID="", StudyTime="", PatientAge="")
    assert study.QueryRetrieveLevel == "STUDY"
    assert study.RetrieveAETitle == "ANNOGATE"
    assert study.InstanceAvailability == "ONLINE"
    assert study.StudyTime == ""
    assert "AccessionNumber" not in study
    assert "PatientAge" in study


def test_relational_query_needs_no_keys_above(node: Listening) -> None:
    found = ask(node, "IMAGE", options=RELATIONAL, SOPInstanceUID="", AccessionNumber="A-3", PatientName="")
    assert len(found) == 3
    assert {str(image.PatientName) for image in found} == {"Doe^Jane=山田^花子"}


def test_levels_of_a_query_are_held_to_the_model(node: Listening) -> None:
    for level, keys in (("SERIES", {}), ("SERIES", {"StudyInstanceUID": [ONE, TWO]}), ("PATIENT", {"PatientID": ""})):
        with pytest.raises(QueryFailed, match="A900"):
            ask(node, level, **keys)
    with pytest.raises(QueryFailed, match="A900"):
        ask(node, "STUDY", Model.PATIENT_ROOT, StudyInstanceUID="")


@pytest.mark.parametrize(
    "keys",
    [{"StudyDate": "yesterday"}, {"SeriesNumber": "99999999999"}, {"StudyTime": "99x"}, {"StudyInstanceUID": "1.x"}],
)
def test_value_that_is_none_is_refused(node: Listening, keys: dict[str, Any]) -> None:
    level = "SERIES" if "SeriesNumber" in keys else "STUDY"
    with pytest.raises(QueryFailed, match="A900"):
        ask(node, level, options=RELATIONAL, **keys)


def test_other_projects_are_never_found(node: Listening) -> None:
    assert studies(node, PatientID="P-9") == []


def test_answers_come_in_the_callers_character_set(node: Listening) -> None:
    asked = keyed(StudyInstanceUID=ONE, PatientName="", SpecificCharacterSet="ISO_IR 100")
    (study,) = find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN)
    assert (study.SpecificCharacterSet, str(study.PatientName)) == ("ISO_IR 100", "Müller^Jörg")
    asked.StudyInstanceUID = THREE
    (study,) = find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN)
    assert (study.SpecificCharacterSet, str(study.PatientName)) == ("ISO_IR 192", "Doe^Jane=山田^花子")


def test_caller_that_is_not_known_is_offered_nothing(node: Listening) -> None:
    stranger = RequestorSettings(calling_ae_title="STRANGER")
    with (
        pytest.raises(PeerUnavailable, match="no presentation context"),
        QueryAssociation(node.peer, settings=stranger),
    ):
        pass


def test_queries_are_told_for_the_audit_trail(house: QueryHouse, node: Listening) -> None:
    house.events.clear()
    studies(node, PatientID="P-1")
    (event,) = house.events
    assert (event.kind, event.objects, event.status, event.level) == (QueryEventKind.QUERIED, 2, 0, "STUDY")
    assert event.caller.calling_ae_title == "ASKER"


def test_results_are_found_only_when_they_may_leave(tmp_path: Path) -> None:
    with query_house(tmp_path) as held:
        held.add_study(ONE)
        held.add_result(ONE, "1.2.1.9.1")
        for served, series in ((ServedResults(), 1), (ServedResults(frozenset({"nodules"}), without_approval=True), 2)):
            with answering(held.query_service(served)) as node:
                (study,) = ask(node, "STUDY", StudyInstanceUID=ONE, NumberOfStudyRelatedSeries="")
                assert study.NumberOfStudyRelatedSeries == series
                assert len(ask(node, "SERIES", StudyInstanceUID=ONE, SeriesInstanceUID="")) == series


def test_stream_of_matches_can_be_cancelled(tmp_path: Path) -> None:
    with query_house(tmp_path) as held:
        held.index.add_all([_study(number) for number in range(250)])
        with answering(held.query_service()) as node:
            asked = keyed(StudyInstanceUID="")
            assert len(list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN))) == 250
            assert len(list(find(node.peer, Model.STUDY_ROOT, QueryLevel.STUDY, asked, settings=OWN, limit=3))) == 3
        assert [event.status for event in held.events] == [0, 0xFE00]


def _study(number: int) -> NewInstance:
    return new_instance(ct_slice(1, study_uid=f"1.2.{number + 1}", series_uid=f"1.2.{number + 1}.1"))


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize(("root", "level"), [("-S", "STUDY"), ("-P", "STUDY")])
def test_findscu_finds(node: Listening, root: str, level: str) -> None:
    output = findscu(
        node, root, f"QueryRetrieveLevel={level}", "PatientID=P-1", "StudyInstanceUID", "StudyDate", "PatientAge=040Y"
    )
    assert len(re.findall(r"Find Response: \d+ \(Pending", output)) == 0
    output = findscu(node, root, f"QueryRetrieveLevel={level}", "PatientID=P-1", "StudyInstanceUID", "StudyDate")
    assert sorted(re.findall(r"StudyDate\s*$|\[(2024030\d)\]", output)) == ["20240301", "20240302"]
    assert "Success" in output


@pytest.mark.peer("dcmtk")
def test_findscu_is_warned_of_keys_that_are_not_supported(node: Listening) -> None:
    output = findscu(
        node, "-S", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={ONE}", "NumberOfSeriesRelatedInstances"
    )
    assert re.search(r"0xff01|Pending: Warning|Unsupported", output), output


@pytest.mark.peer("dcmtk")
def test_findscu_is_told_the_offending_element(node: Listening) -> None:
    output = findscu(node, "-S", "QueryRetrieveLevel=SERIES", "SeriesInstanceUID", "-d", check=False)
    assert "0xa900" in output.lower()
    assert "(0020,000d)" in output.lower()


def findscu(node: Listening, root: str, *keys: str, check: bool = True) -> str:
    host, port = node.node.address
    options = [part for key in keys for part in ((key,) if key.startswith("-") else ("-k", key))]
    command = ["/usr/bin/findscu", "-v", root, "-aet", "ASKER", "-aec", "ANNOGATE", *options, host, str(port)]
    done = subprocess.run(command, check=check, capture_output=True, text=True, timeout=PATIENCE_S)
    return done.stdout + done.stderr
