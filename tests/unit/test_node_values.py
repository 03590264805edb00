"""What a node knows without a socket: command sets, transfer syntaxes, UIDs, callers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.callers import KnownCallers, Rejection
from dicom_nodes.command_set import (
    AFFECTED_SOP_INSTANCE_UID,
    C_GET_RQ,
    COMMAND_FIELD,
    ERROR_COMMENT,
    MESSAGE_ID,
    OFFENDING_ELEMENT,
    RESPONSE,
    STATUS,
    CommandSetInvalid,
    decode_command_set,
    encode_command_set,
)
from dicom_nodes.storage_classes import is_uid
from dicom_nodes.transfer_syntaxes import choose_transfer_syntax, is_lossless, transfer_syntaxes


@given(number=st.integers(0, 0xFFFF), uid=st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){1,5}", fullmatch=True))
def test_a_command_set_reads_back_as_written(number: int, uid: str):
    command = decode_command_set(encode_command_set({MESSAGE_ID: number, AFFECTED_SOP_INSTANCE_UID: uid}))
    assert (command.number(MESSAGE_ID), command.text(AFFECTED_SOP_INSTANCE_UID)) == (number, uid)


@given(data=st.binary(max_size=200))
def test_bytes_are_a_command_set_or_refused(data: bytes):
    try:
        decode_command_set(data)
    except CommandSetInvalid:
        return


@pytest.mark.parametrize("cut", [1, 7, 9, 11])
def test_a_cut_command_set_is_refused(cut: int):
    with pytest.raises(CommandSetInvalid):
        decode_command_set(encode_command_set({MESSAGE_ID: 1})[:cut])


def test_elements_have_even_length():
    odd = encode_command_set({AFFECTED_SOP_INSTANCE_UID: "1.2.3", ERROR_COMMENT: "abc"})
    assert odd.endswith(b"1.2.3\0") is True
    assert b"abc " in odd


def test_a_missing_number_has_its_default():
    assert decode_command_set(b"").number(MESSAGE_ID, 5) == 5


@pytest.mark.parametrize("uid", ["1.2", "0.0", "1.2.03", "2.25." + "9" * 59])
def test_a_uid_is_one(uid: str):
    assert is_uid(uid)


@pytest.mark.parametrize("uid", ["", "1", "1.", "1..2", "1.2/3", "1.2\n", "../..", "1.a", "1.٣", "2.25." + "9" * 60])
def test_what_is_no_uid_is_none(uid: str):
    assert not is_uid(uid)


@pytest.mark.parametrize(
    "lossy", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"]
)
def test_syntaxes_that_may_lose_are_not_lossless(lossy: str):
    assert (lossy in transfer_syntaxes(), is_lossless(lossy)) == (True, False)


@given(proposed=st.lists(st.sampled_from(sorted(transfer_syntaxes())), min_size=1, unique=True))
def test_a_lossy_syntax_is_chosen_only_where_nothing_else_stands(proposed: list[str]):
    chosen = choose_transfer_syntax(proposed)
    best = [uid for uid in proposed if is_lossless(uid)] or proposed
    assert chosen == best[0]


def test_none_is_chosen_of_unknown_syntaxes():
    assert choose_transfer_syntax(["1.2.3"]) is None


@pytest.mark.parametrize(
    ("calling", "called", "address", "rejection"),
    [
        ("SCANNER", "ANNOGATE", "192.0.2.7", None),
        ("SCANNER", "ANNOGATE", "::ffff:192.0.2.7", None),
        ("SCANNER", "ANNOGATE", "2001:db8::1%eth0", None),
        ("SCANNER", "annogate", "192.0.2.7", Rejection.CALLED_UNKNOWN),
        ("OTHER", "ANNOGATE", "192.0.2.7", Rejection.CALLING_UNKNOWN),
        ("SCANNER", "ANNOGATE", "198.51.100.1", Rejection.ADDRESS_NOT_ALLOWED),
    ],
)
def test_callers_are_admitted_as_listed(calling: str, called: str, address: str, rejection: Rejection | None):
    callers = KnownCallers(["ANNOGATE"], ["SCANNER"], ["192.0.2.0/24", "2001:db8::/32"])
    assert callers.admit(calling, called, address) is rejection


def test_elements_behind_the_command_set_of_a_response_are_left_out() -> None:
    answer = (
        encode_command_set({COMMAND_FIELD: C_GET_RQ | RESPONSE, STATUS: 0xB000}) + b"\x08\x00\x58\x00\x04\0\0\x001.2\0"
    )
    assert decode_command_set(answer).number(STATUS) == 0xB000


def test_elements_behind_the_command_set_of_a_request_are_refused() -> None:
    asked = encode_command_set({COMMAND_FIELD: C_GET_RQ, MESSAGE_ID: 1}) + b"\x08\x00\x58\x00\x04\0\0\x001.2\0"
    with pytest.raises(CommandSetInvalid):
        decode_command_set(asked)


def test_offending_element_is_a_tag() -> None:
    assert decode_command_set(encode_command_set({OFFENDING_ELEMENT: 0x00100020})).elements[OFFENDING_ELEMENT] == (
        b"\x10\x00\x20\x00"
    )
