"""AlterReplicaLogDirs (key 34), v1-2 (KIP-113): moves replicas between the log directories of
this broker.

The answer is sent when the move has begun. DescribeLogDirs shows its progress: it reports the copy
as a future replica until the copy has replaced the log. A partition that does not exist yet gets an
error, and will be created in that directory.
v2 flexible
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from kbroker.errors import refusal
from kbroker.log_dirs.store import OfflineLogDir, UnknownLogDir
from kbroker.storage.errors import StorageError
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)

if TYPE_CHECKING:
    from kbroker.requests.services import RequestContext, Services

# A copy's directory is called topic-partition.<32 digits>-future, and a name has so many bytes.
NAME_BYTES_MAX: Final = 255
FUTURE_SUFFIX_BYTES: Final = len(".") + 32 + len("-future")

log = logging.getLogger("kbroker.moves")


def handle(request: AlterReplicaLogDirsRequest, ctx: RequestContext) -> AlterReplicaLogDirsResponse:
    # Of a partition that is there twice, Kafka knows the last.
    wanted = {
        (topic.name, index): directory.path
        for directory in request.dirs
        for topic in directory.topics
        for index in topic.partitions
    }
    results: dict[str, AlterReplicaLogDirTopicResult] = {}
    for (topic_name, index), path in wanted.items():
        error = ErrorCode.NONE
        try:
            _alter(topic_name, index, path, ctx.services)
        except Exception as failure:
            refused = refusal(failure, f"AlterReplicaLogDirs of {topic_name}-{index}")
            error = refused.code
            log.info("cannot move %s-%d to %s: %s", topic_name, index, path, refused)
        result = results.setdefault(
            topic_name, AlterReplicaLogDirTopicResult(topic_name=topic_name)
        )
        result.partitions.append(
            AlterReplicaLogDirPartitionResult(partition_index=index, error_code=error)
        )
    return AlterReplicaLogDirsResponse(results=list(results.values()))


def refuse(
    request: AlterReplicaLogDirsRequest, version: int, code: ErrorCode, message: str | None
) -> AlterReplicaLogDirsResponse:
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic_name=topic.name,
                partitions=[
                    AlterReplicaLogDirPartitionResult(partition_index=index, error_code=code)
                    for index in topic.partitions
                ],
            )
            for directory in request.dirs
            for topic in directory.topics
        ]
    )


def _alter(topic: str, index: int, path: str, services: Services) -> None:
    """RequestError, each in the order in which Kafka looks."""
    store, moves = services.log_store, services.moves
    if len(f"{topic}-{index}") + FUTURE_SUFFIX_BYTES > NAME_BYTES_MAX:
        raise RequestError(ErrorCode.INVALID_TOPIC_EXCEPTION, "The topic name is too long.")
    try:
        directory = store.directory(path)
    except UnknownLogDir as error:
        raise RequestError(ErrorCode.LOG_DIR_NOT_FOUND, str(error)) from error
    except OfflineLogDir as error:
        raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
    if store.is_cordoned(directory):
        raise RequestError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"{path} is cordoned")
    partition = services.partitions.get(topic, index)
    if partition is None:
        store.prefer(topic, index, directory)
        code = services.partitions.why_missing(topic, index)
        if code is ErrorCode.NOT_LEADER_OR_FOLLOWER:
            code = ErrorCode.REPLICA_NOT_AVAILABLE
        raise RequestError(code)
    if partition.offline:
        raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic}-{index} is offline")
    move = moves.get(partition)
    if move is not None:
        if move.directory is directory:
            return
        moves.cancel(partition)
    if store.directory_of(partition.log) is directory:
        return
    if store.offline_paths:
        # A copy may lie in one of them, and there must not be two.
        raise RequestError(
            ErrorCode.KAFKA_STORAGE_ERROR, f"{' and '.join(store.offline_paths)} is offline"
        )
    try:
        moves.begin(partition, directory)
    except StorageError as error:
        store.report_failure(directory.path)
        raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
