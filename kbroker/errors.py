"""The table from exceptions to Kafka's error codes.

Dispatch uses it for a whole request. Handlers use it for one part of a request, which then fails
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.storage import errors as storage
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.errors import refusal as refusal_without_storage

if TYPE_CHECKING:
    from collections.abc import Mapping

STORAGE_ERRORS: Mapping[type[Exception], ErrorCode] = {
    storage.CorruptBatch: ErrorCode.CORRUPT_MESSAGE,
    storage.InvalidTimestamp: ErrorCode.INVALID_TIMESTAMP,
    storage.InvalidRecord: ErrorCode.INVALID_RECORD,
    storage.RecordTooLarge: ErrorCode.MESSAGE_TOO_LARGE,
    storage.RecordBatchTooLarge: ErrorCode.RECORD_LIST_TOO_LARGE,
    storage.UnsupportedForMessageFormat: ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    storage.UnsupportedCompression: ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
    storage.CompressionError: ErrorCode.CORRUPT_MESSAGE,
    storage.OutOfOrderSequence: ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    storage.DuplicateSequence: ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
    storage.InvalidProducerEpoch: ErrorCode.INVALID_PRODUCER_EPOCH,
    storage.UnknownProducer: ErrorCode.UNKNOWN_PRODUCER_ID,
    storage.InvalidTransactionState: ErrorCode.INVALID_TXN_STATE,
    storage.TransactionCoordinatorFenced: ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    storage.OffsetOutOfRange: ErrorCode.OFFSET_OUT_OF_RANGE,
    storage.DiskError: ErrorCode.KAFKA_STORAGE_ERROR,
}


def code_of(error: storage.StorageError) -> ErrorCode:
    """The code of the nearest class in the table; UNKNOWN_SERVER_ERROR for one that no client
    should see.
    """
    for cls in type(error).__mro__:
        code = STORAGE_ERRORS.get(cls)
        if code is not None:
            return code
    return ErrorCode.UNKNOWN_SERVER_ERROR


def refusal(error: Exception, what: str) -> RequestError:
    """What a client is told of `error`, which ended `what`: a request, or one part of it.

    An error of storage has its code in the table. All others are as `wire.errors.refusal` says.
    """
    if isinstance(error, storage.StorageError):
        code = code_of(error)
        if code is not ErrorCode.UNKNOWN_SERVER_ERROR:
            return RequestError(code, str(error))
    return refusal_without_storage(error, what)
