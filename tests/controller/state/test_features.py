"""UpdateFeatures: who may set which level, in Apache Kafka's words, and what goes into the log."""

from __future__ import annotations

import pytest

from kbroker.controller.features import FRESH, METADATA_VERSION, SUPPORTED, loses_metadata
from kbroker.controller.image import ControllerImage
from kbroker.controller.image_records import controller_record
from kbroker.wire.errors import ErrorCode
from kbroker.wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesResponse
from kbroker.wire.records.config_record import ConfigRecord
from kbroker.wire.records.feature_level_record import FeatureLevelRecord
from kbroker.wire.records.no_op_record import NoOpRecord
from tests.controller.parts import Cluster

MV, ELR, KRAFT = "metadata.version", "eligible.leader.replicas.version", "kraft.version"
UPGRADE, SAFE, UNSAFE = 1, 2, 3
BROKER = 4

HIGHEST = {
    ELR: 1,
    "group.version": 1,
    "share.version": 1,
    "streams.version": 1,
    "transaction.version": 2,
}

# As `kafka-storage format --release-version` leaves it.
RELEASES = {
    "3.3": {MV: 7},
    "3.9": {MV: 21},
    "4.0": {MV: 25, "group.version": 1, "transaction.version": 2},
}


def to(name: str, level: int, upgrade_type: int = UPGRADE) -> FeatureUpdateKey:
    return FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=upgrade_type)


@pytest.mark.parametrize(
    ("update", "problem"),
    [
        (
            to("nosuch", 1),
            "Invalid update version 1 for feature nosuch. Local controller 1 does not support this "
            "feature.",
        ),
        (
            to("nosuch", 0),
            "Invalid update version 0 for feature nosuch. Feature nosuch not found.",
        ),
        (
            to(KRAFT, 2),
            "Invalid update version 2 for feature kraft.version. Local controller 1 only supports "
            "versions 0-1",
        ),
        (
            to(KRAFT, 1, SAFE),
            "Invalid update version 1 for feature kraft.version. Can't downgrade to a newer "
            "version.",
        ),
        *(
            (
                to(name, highest + 1),
                f"Invalid update version {highest + 1} for feature {name}. Local controller 1 only "
                f"supports versions 0-{highest}",
            )
            for name, highest in HIGHEST.items()
        ),
        (
            to(MV, 31),
            "Invalid update version 31 for feature metadata.version. Local controller 1 only "
            "supports versions 7-30",
        ),
        (
            to(MV, 6, SAFE),
            "Invalid update version 6 for feature metadata.version. Local controller 1 only "
            "supports versions 7-30",
        ),
        (
            to(MV, -1, SAFE),
            "Invalid update version -1 for feature metadata.version. A feature version cannot be "
            "less than 0.",
        ),
        (
            to("group.version", 0),
            "Invalid update version 0 for feature group.version. Can't downgrade the version of "
            "this feature without setting the upgrade type to either safe or unsafe downgrade.",
        ),
        (
            to(MV, 29, SAFE),
            "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the "
            "requested downgrade because it might delete metadata information.",
        ),
        (
            to(MV, 7, UNSAFE),
            "Unsupported metadata.version downgrade from 30 to 7. Unsafe metadata downgrade is not "
            "supported in this version.",
        ),
        *(
            (
                to("group.version", level, upgrade_type),
                f"Invalid update version {level} for feature group.version. The controller does "
                "not support the given upgrade type.",
            )
            for upgrade_type in (0, 4, -1)
            for level in (0, 1, 2)
        ),
    ],
)
def test_what_cannot_be_set_is_refused_with_all_that_came_with_it(
    update: FeatureUpdateKey, problem: str
) -> None:
    response, records = Cluster().update_features(to("share.version", 0, SAFE), update)
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    assert response.error_message == (
        f"The update failed for all features since the following feature had an error: {problem}"
    )
    assert records == ()


def test_nothing_to_do_is_done() -> None:
    response, records = Cluster().update_features()
    assert (response.error_code, response.error_message, records) == (0, None, ())


@pytest.mark.parametrize("upgrade_type", [UPGRADE, SAFE, UNSAFE])
def test_a_level_that_is_there_is_written_again(upgrade_type: int) -> None:
    response, records = Cluster().update_features(to("group.version", 1, upgrade_type))
    assert response.error_code == 0
    assert records == (FeatureLevelRecord(name="group.version", feature_level=1),)


@pytest.mark.parametrize("upgrade_type", [UPGRADE, SAFE, UNSAFE])
def test_a_feature_that_is_off_may_be_switched_off(upgrade_type: int) -> None:
    cluster = Cluster(levels=RELEASES["3.9"])
    response, records = cluster.update_features(to("group.version", 0, upgrade_type))
    assert (response.error_code, response.error_message) == (0, None)
    assert records == (FeatureLevelRecord(name="group.version", feature_level=0),)


@pytest.mark.parametrize("upgrade_type", [SAFE, UNSAFE])
def test_a_feature_goes_down_and_up(upgrade_type: int) -> None:
    cluster = Cluster()
    cluster.update_features(to("transaction.version", 0, upgrade_type))
    assert "transaction.version" not in cluster.image.features
    response, _ = cluster.update_features(to("transaction.version", 1, upgrade_type))
    assert response.error_message is not None
    assert "Can't downgrade to a newer version." in response.error_message
    cluster.update_features(to("transaction.version", 1))
    assert cluster.image.features["transaction.version"] == 1


def test_validate_only_writes_nothing() -> None:
    cluster = Cluster(levels=RELEASES["3.9"])
    response, records = cluster.update_features(to(MV, 30), to(ELR, 1), validate_only=True)
    assert (response.error_code, records) == (0, ())


def test_of_a_feature_that_stands_there_twice_the_last_counts() -> None:
    _, records = Cluster().update_features(to("group.version", 9), to("group.version", 1))
    assert records == (FeatureLevelRecord(name="group.version", feature_level=1),)


@pytest.mark.parametrize(
    ("current", "lowest"),
    [
        *((30, 30), (29, 23), (28, 23), (23, 23), (22, 17), (21, 17), (16, 15)),
        *((14, 14), (13, 13), (12, 11), (10, 8), (8, 8)),
    ],
)
def test_metadata_version_goes_down_as_far_as_no_record_says_less(
    current: int, lowest: int
) -> None:
    for level in range(7, current):
        cluster = Cluster(levels={MV: current})
        response, _ = cluster.update_features(to(MV, level, SAFE))
        assert (response.error_code == 0) == (level >= lowest), level
        assert loses_metadata(current, level) == (level < lowest)


def test_metadata_version_goes_up_to_any_level() -> None:
    for level in range(7, 31):
        cluster = Cluster(levels=RELEASES["3.3"])
        response, records = cluster.update_features(to(MV, level))
        assert response.error_code == 0
        assert records == (FeatureLevelRecord(name=MV, feature_level=level),)


def test_eligible_leader_replicas_need_a_metadata_version() -> None:
    cluster = Cluster(levels=RELEASES["3.9"])
    response, _ = cluster.update_features(to(ELR, 1))
    assert response.error_message is not None
    assert response.error_message.endswith(
        "Invalid update version 1 for feature eligible.leader.replicas.version. "
        "eligible.leader.replicas.version could not be set to 1 because it depends on "
        "metadata.version level 23"
    )
    response, _ = cluster.update_features(to(ELR, 1), to(MV, 22))
    assert response.error_code == ErrorCode.INVALID_UPDATE_VERSION
    # What comes in the same request counts, in whatever order.
    response, _ = cluster.update_features(to(ELR, 1), to(MV, 23))
    assert response.error_code == 0
    assert cluster.image.elr_enabled


def test_with_eligible_leader_replicas_min_isr_becomes_the_clusters() -> None:
    cluster = Cluster(levels=RELEASES["4.0"])
    own = ConfigRecord(
        resource_type=BROKER, resource_name="1", name="min.insync.replicas", value="2"
    )
    cluster.commit([own])
    _, records = cluster.update_features(to(ELR, 1))
    assert records == (
        ConfigRecord(resource_type=BROKER, resource_name="", name="min.insync.replicas", value="1"),
        ConfigRecord(
            resource_type=BROKER, resource_name="1", name="min.insync.replicas", value=None
        ),
        FeatureLevelRecord(name=ELR, feature_level=1),
    )
    cluster.update_features(to(ELR, 0, SAFE))
    assert cluster.image.configs == {(BROKER, ""): {"min.insync.replicas": "1"}}
    _, records = cluster.update_features(to(ELR, 1))
    assert records == (FeatureLevelRecord(name=ELR, feature_level=1),)


def test_every_broker_and_controller_must_support_the_level() -> None:
    cluster = Cluster(levels=RELEASES["3.9"])
    cluster.register(2, features={MV: (7, 25), "group.version": (0, 0)})
    response, _ = cluster.update_features(to(MV, 26))
    assert response.error_message is not None
    assert response.error_message.endswith("Broker 2 only supports versions 7-25")
    response, _ = cluster.update_features(to("group.version", 1))
    assert response.error_message is not None
    assert response.error_message.endswith("Broker 2 does not support this feature.")
    other = ControllerImage(
        controller_id=9, incarnation_id=b"i" * 16, endpoints={}, features={MV: (7, 24)}
    )
    cluster.commit([controller_record(other)])
    response, _ = cluster.update_features(to(MV, 25))
    assert response.error_message is not None
    assert response.error_message.endswith("Controller 9 only supports versions 7-24")


def test_the_quorum_has_its_own_records_of_its_level() -> None:
    cluster = Cluster()
    assert cluster.update_features(to(KRAFT, 1), validate_only=True)[1] == ()
    assert cluster.kraft_version == 0
    assert cluster.update_features(to(KRAFT, 0))[1] == (NoOpRecord(),)
    assert cluster.update_features(to(KRAFT, 1))[1] == (NoOpRecord(),)
    assert cluster.kraft_version == 1
    assert cluster.update_features(to(KRAFT, 1))[1] == (NoOpRecord(),)
    assert cluster.update_features(to(KRAFT, 1, SAFE)) == (
        UpdateFeaturesResponse(error_message=None),
        (),
    )
    response, _ = cluster.update_features(to("group.version", 0, SAFE), to(KRAFT, 0, UNSAFE))
    assert response.error_message is not None
    assert response.error_message.endswith(
        "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this "
        "feature."
    )
    assert cluster.kraft_version == 1
    assert cluster.image.features == FRESH


def test_every_feature_but_metadata_version_may_be_off() -> None:
    lowest = {name: low for name, (low, _) in SUPPORTED.items()}
    assert lowest.pop(METADATA_VERSION) > 0
    assert len(lowest) > 1
    assert set(lowest.values()) == {0}
