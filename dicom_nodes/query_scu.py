"""C-FIND as SCU (PS3.4 C.4.1, K.4.1): a peer's patients, studies, series, objects, or its modality worklist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final

from pydicom.dataset import Dataset

from dicom_nodes.command_set import (
    AFFECTED_SOP_CLASS_UID,
    C_FIND_RQ,
    COMMAND_FIELD,
    DATA_SET_PRESENT,
    DATA_SET_TYPE,
    MEDIUM_PRIORITY,
    PRIORITY,
    STATUS,
)
from dicom_nodes.errors import GatewayError
from dicom_nodes.identifier import UNICODE, decode_identifier, encode_identifier
from dicom_nodes.peer import PeerAddress
from dicom_nodes.query_model import CANCELLED, SUCCESS, Model, QueryLevel, QueryOptions, is_pending, status_words
from dicom_nodes.requestor import Requestor, RequestorSettings
from dicom_nodes.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


class QueryFailed(GatewayError):
    """The peer answered with a failure; the message has its status in words and its Error Comment."""

    http_status = 502

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


class QueryAssociation:
    """An association for queries, as many as wanted; a context manager.

    Parameters
    ----------
    models : those that will be asked
    options : proposed by extended negotiation; `options` of the object says what the peer accepted

    Raises
    ------
    PeerUnavailable : no association, or none of the models is accepted
    """

    def __init__(
        self,
        peer: PeerAddress,
        models: tuple[Model, ...] = (Model.STUDY_ROOT,),
        settings: RequestorSettings | None = None,
        options: QueryOptions | None = None,
    ) -> None:
        self._peer = peer
        wished = options or QueryOptions()
        extended = {model.find: wished.encode() for model in models} if wished != QueryOptions() else {}
        self._requestor = Requestor(peer, [(model.find, UNCOMPRESSED) for model in models], settings, extended=extended)
        self._contexts = {context.abstract_syntax: context for context in self._requestor.contexts}

    def accepts(self, model: Model) -> bool:
        """Whether the peer answers queries of this model."""
        return model.find in self._contexts

    def options(self, model: Model) -> QueryOptions:
        """What the peer accepted of the options proposed; nothing where it does not negotiate them."""
        return QueryOptions.decode(self._requestor.extended(model.find))

    def find(
        self,
        model: Model,
        level: QueryLevel | None,
        identifier: Dataset,
        *,
        limit: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Dataset]:
        """Ask, and yield each match as it comes; the next one is only read when this one was taken.

        Query/Retrieve Level and, where the identifier is not plain ASCII, Specific Character Set are filled in. An
        iterator that is closed early, like one that reached its limit, stops the peer by C-CANCEL.

        Parameters
        ----------
        level : None for the modality worklist, which has none
        limit : the most matches to yield

        Raises
        ------
        QueryFailed : the peer answers with a failure
        PeerUnavailable : the peer does not take the model, breaks off or falls silent
        """
        context = self._contexts.get(model.find)
        if context is None:
            raise QueryFailed(f"{self._peer} takes no queries of {model.name.lower().replace('_', ' ')}", 0x0122)
        elements: dict[int, int | str] = {
            AFFECTED_SOP_CLASS_UID: model.find,
            COMMAND_FIELD: C_FIND_RQ,
            PRIORITY: MEDIUM_PRIORITY,
            DATA_SET_TYPE: DATA_SET_PRESENT,
        }
        encoded = encode_identifier(completed(identifier, level), context.transfer_syntax)
        found = 0
        for response in self._requestor.responses(context.context_id, elements, encoded, stop):
            status = response.command.number(STATUS)
            if not is_pending(status):
                if status not in (SUCCESS, CANCELLED):
                    raise QueryFailed(f"{self._peer} answered C-FIND: {status_words(status)}", status)
            elif response.data_set is not None:
                found += 1
                yield decode_identifier(response.data_set, context.transfer_syntax)
                if found == limit:
                    return

    def __enter__(self) -> QueryAssociation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requestor.__exit__(kind, error, trace)


def find(
    peer: PeerAddress,
    model: Model,
    level: QueryLevel | None,
    identifier: Dataset,
    *,
    settings: RequestorSettings | None = None,
    options: QueryOptions | None = None,
    limit: int | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Dataset]:
    """Ask a peer once, over an association of its own; see `QueryAssociation.find`.

    Raises
    ------
    QueryFailed : the peer answers with a failure
    PeerUnavailable : it cannot be reached, does not take the model, breaks off or falls silent
    """
    with QueryAssociation(peer, (model,), settings, options) as association:
        yield from association.find(model, level, identifier, limit=limit, stop=stop)


def completed(identifier: Dataset, level: QueryLevel | None) -> Dataset:
    """A copy with its Query/Retrieve Level, and a Specific Character Set where its values need one."""
    whole = Dataset()
    whole.update(identifier)
    if level is not None:
        whole.QueryRetrieveLevel = level.name
    if "SpecificCharacterSet" not in whole and not _is_ascii(whole):
        whole.SpecificCharacterSet = UNICODE
    return whole


def _is_ascii(identifier: Dataset) -> bool:
    return all(str(element.value).isascii() for element in identifier.iterall() if element.VR != "SQ")
