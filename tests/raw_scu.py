"""A C-STORE SCU that sends whatever bytes it is given, as broken senders do."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE


@contextmanager
def associated(
    host: str,
    port: int,
    contexts: dict[str, list[str]],
    *,
    called: str = "ANNOGATE",
    calling: str = "SCANNER",
) -> Iterator[Association]:
    """An association with the given presentation contexts; released at the end, or aborted if it was cut."""
    ae = AE(ae_title=calling)
    for sop_class_uid, transfer_syntaxes in contexts.items():
        ae.add_requested_context(sop_class_uid, transfer_syntaxes)
    association = ae.associate(host, port, ae_title=called)
    try:
        assert association.is_established, "the association was refused"
        yield association
    finally:
        if association.is_established:
            association.release()


def store_bytes(
    association: Association,
    data_set: bytes,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str = ImplicitVRLittleEndian,
) -> tuple[int, str]:
    """Send one data set as it stands; Status and Error Comment of the response."""
    context = next(
        context
        for context in association.accepted_contexts
        if context.abstract_syntax == sop_class_uid and context.transfer_syntax[0] == transfer_syntax_uid
    )
    request = C_STORE()
    request.MessageID = 7
    request.Priority = 2
    association._reactor_checkpoint.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of UIDs that are none; a broken sender does not
            request.AffectedSOPClassUID = sop_class_uid
            request.AffectedSOPInstanceUID = sop_instance_uid
            # Without a data set the command says so (0000,0800) = 0101H.
            request.DataSet = BytesIO(data_set) if data_set else None
            association.dimse.send_msg(request, context.context_id)
        _, response = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    assert response is not None, "no response"
    return int(response.Status), str(response.ErrorComment or "")
