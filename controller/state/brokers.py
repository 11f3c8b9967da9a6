"""Decides how brokers come and go: BrokerRegistration, BrokerHeartbeat, UnregisterBroker, and the
fencing of silent brokers.

Source: ClusterControlManager.registerBroker, BrokerHeartbeatManager.calculateNextBrokerState,
ReplicationControlManager.handleBroker*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.features import (
    CONTROLLED_SHUTDOWN_SINCE,
    CORDONED_DIRECTORIES_SINCE,
    DIRECTORY_ASSIGNMENT_SINCE,
    METADATA_VERSION,
)
from kbroker.controller.model import RESERVED_DIRECTORIES_MAX
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import BrokerRegistrationResponse
from kbroker.wire.records.broker_registration_change_record import BrokerRegistrationChangeRecord
from kbroker.wire.records.register_broker_record import (
    BrokerEndpoint,
    BrokerFeature,
    RegisterBrokerRecord,
)
from kbroker.wire.uuids import uuid_text

from .leadership_changes import (
    leads_any,
    when_broker_arrives,
    when_broker_is_unregistered,
    when_broker_leaves,
    when_broker_was_killed,
    when_directory_fails,
)
from .result import Result

if TYPE_CHECKING:
    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import BrokerImage, MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest
    from kbroker.wire.messages.broker_registration import BrokerRegistrationRequest
    from kbroker.wire.messages.unregister_broker import (
        UnregisterBrokerRequest,
        UnregisterBrokerResponse,
    )

    from .config_schema import ConfigSchema
    from .sessions import BrokerSessions

FENCE, UNFENCE, UNCHANGED = 1, -1, 0


def decide_broker_registration(
    context: DecisionContext, request: BrokerRegistrationRequest
) -> Result[BrokerRegistrationResponse]:
    """The broker's epoch is the offset of the first record: later lives have larger ones.

    RequestError where Kafka's controller throws.
    """
    image, schema = context.image, context.schema
    existing = image.brokers.get(request.broker_id)
    same_life = existing is not None and existing.incarnation_id == request.incarnation_id
    _check_identity(request, context.settings.cluster_id)
    _check_directories(image, request)
    if existing is not None and not same_life:
        _check_predecessor(existing, request, context)
    _check_features(image, request)
    records: list[Message] = []
    epoch, fenced, in_controlled_shutdown = context.next_offset, True, False
    if existing is not None and same_life:
        epoch, fenced = existing.epoch, existing.fenced
        in_controlled_shutdown = existing.in_controlled_shutdown
    elif existing is not None:
        if request.previous_broker_epoch == existing.epoch:
            records += when_broker_leaves(image, schema, request.broker_id)
        else:
            records += when_broker_was_killed(image, schema, request.broker_id)
    records.append(
        RegisterBrokerRecord(
            broker_id=request.broker_id,
            incarnation_id=request.incarnation_id,
            broker_epoch=epoch,
            end_points=[
                BrokerEndpoint(
                    name=each.name,
                    host=each.host,
                    port=each.port,
                    security_protocol=each.security_protocol,
                )
                for each in request.listeners
            ],
            features=[
                BrokerFeature(
                    name=each.name,
                    min_supported_version=each.min_supported_version,
                    max_supported_version=each.max_supported_version,
                )
                for each in request.features
            ],
            rack=request.rack,
            fenced=fenced,
            in_controlled_shutdown=in_controlled_shutdown,
            log_dirs=(
                request.log_dirs if image.metadata_version >= DIRECTORY_ASSIGNMENT_SINCE else []
            ),
        )
    )
    return Result(
        tuple(records),
        BrokerRegistrationResponse(error_code=ErrorCode.NONE, broker_epoch=epoch),
    )


def _check_identity(request: BrokerRegistrationRequest, cluster_id: str) -> None:
    if request.cluster_id != cluster_id:
        raise RequestError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"Expected cluster ID {cluster_id}, but got cluster ID {request.cluster_id}",
        )
    if request.is_migrating_zk_broker:
        raise RequestError(
            ErrorCode.BROKER_ID_NOT_REGISTERED,
            "Controller does not support registering ZK brokers.",
        )


def _check_predecessor(
    existing: BrokerImage, request: BrokerRegistrationRequest, context: DecisionContext
) -> None:
    """RequestError if the broker's previous life may still go on.

    A log directory has one process at a time (its .lock file). Whoever registers with a directory
    of the previous life proves that life over, and need not wait out its session as in Kafka. So
    does the broker in the controller's own process, whose registration has no directories at an old
    metadata.version.
    """
    if not existing.log_dirs and request.broker_id == context.settings.node_id:
        return
    if set(request.log_dirs) & set(existing.log_dirs):
        return
    if context.sessions.is_valid(request.broker_id, existing.epoch, context.now_ms):
        raise RequestError(
            ErrorCode.DUPLICATE_BROKER_REGISTRATION,
            "Another broker is registered with that broker id. If the broker was recently "
            "restarted this should self-resolve once the heartbeat manager expires the broker's "
            "session.",
        )


def _check_directories(image: MetadataImage, request: BrokerRegistrationRequest) -> None:
    if image.metadata_version < DIRECTORY_ASSIGNMENT_SINCE:
        return
    code = ErrorCode.INVALID_REGISTRATION
    directories = request.log_dirs
    if not directories:
        raise RequestError(code, "No directories specified in request")
    if any(int.from_bytes(each) <= RESERVED_DIRECTORIES_MAX for each in directories):
        raise RequestError(code, "Reserved directory ID in request")
    if len(set(directories)) < len(directories):
        raise RequestError(code, "Duplicate directory ID in request")
    for broker in image.brokers.values():
        for each in directories:
            if broker.broker_id != request.broker_id and each in broker.log_dirs:
                raise RequestError(
                    code,
                    f"Broker {broker.broker_id} is already registered with directory "
                    f"{uuid_text(each)}",
                )


def _check_features(image: MetadataImage, request: BrokerRegistrationRequest) -> None:
    """RequestError unless the broker understands every level at which the cluster runs."""
    ranges = {
        each.name: (each.min_supported_version, each.max_supported_version)
        for each in request.features
    }
    if METADATA_VERSION not in ranges:
        raise RequestError(
            ErrorCode.INVALID_REGISTRATION, "Request features do not contain 'metadata.version'"
        )
    for name, level in image.features.items():
        low, high = ranges.get(name, (0, 0))
        if not low <= level <= high:
            raise RequestError(
                ErrorCode.UNSUPPORTED_VERSION,
                f"Unable to register because the broker does not support finalized version {level} "
                f"of {name}. The broker wants a version between {low} and {high}, inclusive.",
            )


def broker_with_epoch(image: MetadataImage, broker_id: int, epoch: int) -> BrokerImage:
    """RequestError unless the broker is registered in that very life."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise RequestError(
            ErrorCode.STALE_BROKER_EPOCH, f"No broker registration found for broker id {broker_id}"
        )
    if broker.epoch != epoch:
        raise RequestError(
            ErrorCode.STALE_BROKER_EPOCH,
            f"Expected broker epoch {broker.epoch}, but got broker epoch {epoch}",
        )
    return broker


def decide_broker_heartbeat(
    context: DecisionContext, request: BrokerHeartbeatRequest
) -> Result[BrokerHeartbeatResponse]:
    """Fences, unfences or lets go a broker, as it asks and as the cluster allows. RequestError.

    The answer tells the state that the records lead to.
    """
    image, schema = context.image, context.schema
    broker = broker_with_epoch(image, request.broker_id, request.broker_epoch)
    caught_up = request.current_metadata_offset >= broker.epoch
    records: list[Message] = []
    fenced, shut_down = broker.fenced, False
    if broker.fenced:
        if request.want_shut_down:
            shut_down = True
        elif not request.want_fence and caught_up:
            fenced = False
            records += unfence_records(image, schema, broker)
    elif broker.in_controlled_shutdown:
        shut_down = _may_shut_down(image, request.broker_id, context.sessions)
    elif request.want_shut_down and not request.want_fence and leads_any(image, broker.broker_id):
        records += _controlled_shutdown_records(image, schema, broker)
    elif request.want_shut_down:
        shut_down = True
    elif request.want_fence:
        fenced = True
    if (shut_down or fenced) and not broker.fenced:
        fenced = True
        records += fence_records(image, schema, broker)
    records += _directory_records(image, request, broker, schema)
    response = BrokerHeartbeatResponse(
        error_code=ErrorCode.NONE,
        is_caught_up=caught_up,
        is_fenced=fenced,
        should_shut_down=shut_down,
    )
    return Result(tuple(records), response)


def _may_shut_down(image: MetadataImage, broker_id: int, sessions: BrokerSessions) -> bool:
    """True once nobody follows it: it leads nothing, and all others know."""
    if leads_any(image, broker_id):
        return False
    session = sessions.get(broker_id)
    lowest = sessions.lowest_metadata_offset(image)
    return session is None or lowest is None or session.shutdown_offset <= lowest


def unfence_records(
    image: MetadataImage, schema: ConfigSchema, broker: BrokerImage
) -> list[Message]:
    change = BrokerRegistrationChangeRecord(
        broker_id=broker.broker_id, broker_epoch=broker.epoch, fenced=UNFENCE
    )
    return [change, *when_broker_arrives(image, schema, broker.broker_id)]


def fence_records(image: MetadataImage, schema: ConfigSchema, broker: BrokerImage) -> list[Message]:
    """Leadership goes first, then the broker."""
    change = BrokerRegistrationChangeRecord(
        broker_id=broker.broker_id, broker_epoch=broker.epoch, fenced=FENCE
    )
    return [*when_broker_leaves(image, schema, broker.broker_id), change]


def _controlled_shutdown_records(
    image: MetadataImage, schema: ConfigSchema, broker: BrokerImage
) -> list[Message]:
    records: list[Message] = []
    if image.metadata_version >= CONTROLLED_SHUTDOWN_SINCE:
        records.append(
            BrokerRegistrationChangeRecord(
                broker_id=broker.broker_id, broker_epoch=broker.epoch, in_controlled_shutdown=1
            )
        )
    return [*records, *when_broker_leaves(image, schema, broker.broker_id)]


def _directory_records(
    image: MetadataImage,
    request: BrokerHeartbeatRequest,
    broker: BrokerImage,
    schema: ConfigSchema,
) -> list[Message]:
    """What follows from directories that failed, or that take no new replicas."""
    records: list[Message] = []
    failed = [each for each in broker.log_dirs if each in request.offline_log_dirs]
    if failed and image.metadata_version >= DIRECTORY_ASSIGNMENT_SINCE:
        records += when_directory_fails(image, schema, broker.broker_id, failed)
        records.append(
            BrokerRegistrationChangeRecord(
                broker_id=broker.broker_id,
                broker_epoch=broker.epoch,
                log_dirs=[each for each in broker.log_dirs if each not in failed],
            )
        )
    cordoned = request.cordoned_log_dirs
    if (
        cordoned is not None
        and (broker.cordoned_log_dirs is None or set(cordoned) != set(broker.cordoned_log_dirs))
        and image.metadata_version >= CORDONED_DIRECTORIES_SINCE
    ):
        records.append(
            BrokerRegistrationChangeRecord(
                broker_id=broker.broker_id,
                broker_epoch=broker.epoch,
                cordoned_log_dirs=cordoned,
            )
        )
    return records


def decide_unregister_broker(
    context: DecisionContext, request: UnregisterBrokerRequest
) -> Result[UnregisterBrokerResponse]:
    """Forget a broker, be it alive: it has to register again. RequestError for an unknown one."""
    from kbroker.wire.messages.unregister_broker import UnregisterBrokerResponse
    from kbroker.wire.records.unregister_broker_record import UnregisterBrokerRecord

    image = context.image
    broker = image.brokers.get(request.broker_id)
    if broker is None:
        raise RequestError(
            ErrorCode.BROKER_ID_NOT_REGISTERED,
            f"Broker ID {request.broker_id} is not currently registered",
        )
    record = UnregisterBrokerRecord(broker_id=broker.broker_id, broker_epoch=broker.epoch)
    moves = when_broker_is_unregistered(image, context.schema, broker.broker_id)
    return Result((*moves, record), UnregisterBrokerResponse())


def decide_fence_silent_brokers(context: DecisionContext) -> Result[int | None]:
    """Fence one broker whose session is over; the response is its id, None if there is none.

    One at a time: what happens to its partitions decides what may happen to the next one's.
    """
    image = context.image
    expired = context.sessions.expired(image, context.now_ms)
    if not expired:
        return Result((), None)
    broker = image.brokers[expired[0]]
    return Result(tuple(fence_records(image, context.schema, broker)), broker.broker_id)
