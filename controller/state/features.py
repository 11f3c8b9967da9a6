"""Decides UpdateFeatures: the levels at which the cluster runs (KIP-584, KIP-778, KIP-1022).

Either all of a request is changed or nothing.

Source: FeatureControlManager, QuorumFeatures, Feature.validateVersion;
ConfigurationControlManager.maybeGenerateElrSafetyRecords.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.controller.bootstrap import MIN_INSYNC_REPLICAS, cluster_min_isr
from kbroker.controller.features import (
    CONTROLLER_REGISTRATION_SINCE,
    ELIGIBLE_LEADER_REPLICAS,
    FRESH,
    KRAFT_VERSION,
    METADATA_VERSION,
    SUPPORTED,
    loses_metadata,
)
from kbroker.releases.release import DEFAULT
from kbroker.wire.codes import CLUSTER_DEFAULT, ResourceType, UpgradeType
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.update_features import UpdateFeaturesResponse
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.no_op_record import NoOpRecord

from .result import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kbroker.controller.context import DecisionContext
    from kbroker.controller.image import MetadataImage
    from kbroker.wire.message import Message
    from kbroker.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest


_UPGRADE_TYPES = frozenset(UpgradeType)


def decide_update_features(
    context: DecisionContext, request: UpdateFeaturesRequest
) -> Result[UpdateFeaturesResponse]:
    """The results by feature, which v0-1 have, are the handler's to add."""
    image, settings, kraft_version = context.image, context.settings, context.kraft_version
    # Of a feature that stands there twice the last counts.
    updates = {each.feature: each for each in request.feature_updates}
    proposed = {**image.features, **{k: each.max_version_level for k, each in updates.items()}}
    records: list[Message] = []
    try:
        for update in updates.values():
            record = _update(image, update, proposed, settings.node_id, kraft_version)
            if record is not None:
                records.append(record)
    except RequestError as error:
        response = UpdateFeaturesResponse(
            error_code=error.code,
            error_message="The update failed for all features since the following feature had "
            f"an error: {error.message}",
        )
        return Result((), response)
    response = UpdateFeaturesResponse(error_message=None)
    if request.validate_only:
        return Result((), response)
    if ELIGIBLE_LEADER_REPLICAS in updates and proposed[ELIGIBLE_LEADER_REPLICAS] > 0:
        records = [*_min_isr_of_the_cluster(image, settings.min_insync_replicas), *records]
    wanted = proposed.get(KRAFT_VERSION, kraft_version)
    return Result(
        tuple(records), response, kraft_version=wanted if wanted > kraft_version else None
    )


def _update(
    image: MetadataImage,
    update: FeatureUpdateKey,
    proposed: Mapping[str, int],
    node_id: int,
    kraft_version: int,
) -> Message | None:
    """The record of one feature's level. RequestError."""
    name, level = update.feature, update.max_version_level
    # v0 says with allow_downgrade what upgrade_type says since, and Kafka's controller looks at
    # upgrade_type alone.
    if update.upgrade_type not in _UPGRADE_TYPES:
        raise _invalid(update, "The controller does not support the given upgrade type.")
    current = kraft_version if name == KRAFT_VERSION else image.features.get(name, 0)
    if level < 0:
        raise _invalid(update, "A feature version cannot be less than 0.")
    for who, supported in _supporters(image, node_id):
        low, high = supported.get(name, (0, 0))
        if not low <= level <= high:
            raise _invalid(
                update,
                f"{who} only supports versions {_range_text(low, high)}"
                if high
                else f"{who} does not support this feature.",
            )
    is_upgrade = update.upgrade_type == UpgradeType.UPGRADE
    if level < current and is_upgrade:
        raise _invalid(
            update,
            "Can't downgrade the version of this feature without setting the upgrade type to "
            "either safe or unsafe downgrade.",
        )
    if level > current and not is_upgrade:
        raise _invalid(update, "Can't downgrade to a newer version.")
    if name == METADATA_VERSION:
        if level < current:
            _check_metadata_downgrade(update, current)
    elif name == KRAFT_VERSION:
        if level < current:
            raise _invalid(update, "Can't downgrade the version of this feature.")
        # The quorum has control records of its own for it.
        return NoOpRecord() if is_upgrade else None
    else:
        _check_dependencies(update, proposed)
    return FeatureLevelRecord(name=name, feature_level=level)


def _supporters(
    image: MetadataImage, node_id: int
) -> Iterator[tuple[str, Mapping[str, tuple[int, int]]]]:
    """Who must be able to work at a level, and what they can."""
    yield f"Local controller {node_id}", SUPPORTED
    for broker in image.brokers.values():
        yield f"Broker {broker.broker_id}", broker.features
    if image.metadata_version >= CONTROLLER_REGISTRATION_SINCE:
        for controller in image.controllers.values():
            if controller.controller_id != node_id:
                yield f"Controller {controller.controller_id}", controller.features


def _range_text(low: int, high: int) -> str:
    return f"{low}-{high}" if low < high else str(low)


def _check_metadata_downgrade(update: FeatureUpdateKey, current: int) -> None:
    if not loses_metadata(current, update.max_version_level):
        return
    raise RequestError(
        ErrorCode.INVALID_UPDATE_VERSION,
        f"Unsupported metadata.version downgrade from {current} to {update.max_version_level}. "
        + (
            "Unsafe metadata downgrade is not supported in this version."
            if update.upgrade_type == UpgradeType.UNSAFE_DOWNGRADE
            else "Refusing to perform the requested downgrade because it might delete metadata "
            "information."
        ),
    )


def _check_dependencies(update: FeatureUpdateKey, proposed: Mapping[str, int]) -> None:
    name, level = update.feature, update.max_version_level
    if name not in FRESH:
        raise _invalid(update, f"Feature {name} not found.")
    for other, needed in DEFAULT.dependencies(name, level).items():
        if proposed.get(other, 0) < needed:
            raise _invalid(
                update,
                f"{name} could not be set to {level} because it depends on {other} level {needed}",
            )


def _invalid(update: FeatureUpdateKey, message: str) -> RequestError:
    return RequestError(
        ErrorCode.INVALID_UPDATE_VERSION,
        f"Invalid update version {update.max_version_level} for feature {update.feature}. "
        f"{message}",
    )


def _min_isr_of_the_cluster(image: MetadataImage, static_min_isr: int) -> Iterator[Message]:
    """With eligible leader replicas the quorum reckons with min ISR, so brokers have none of their
    own.
    """
    if MIN_INSYNC_REPLICAS not in image.configs.get((ResourceType.BROKER, CLUSTER_DEFAULT), {}):
        yield cluster_min_isr(static_min_isr)
    for (resource_type, name), values in image.configs.items():
        if resource_type == ResourceType.BROKER and name and MIN_INSYNC_REPLICAS in values:
            yield ConfigRecord(
                resource_type=resource_type,
                resource_name=name,
                name=MIN_INSYNC_REPLICAS,
                value=None,
            )
