"""Clients that push their metrics: what they are asked for, how often, and what is refused."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio.testing

from kbroker.controller.delta import ImageDelta
from kbroker.controller.image import MetadataImage
from kbroker.requests.services import ConnectionInfo
from kbroker.storage.compression import Codec, compress
from kbroker.telemetry import INSTANCES_MAX, Telemetry
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.message import ZERO_UUID
from kbroker.wire.messages.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from kbroker.wire.messages.metadata import MetadataRequest, MetadataResponse
from kbroker.wire.messages.push_telemetry import PushTelemetryRequest, PushTelemetryResponse
from kbroker.wire.records.config_record import ConfigRecord
from tests.sim.broker import Client, Machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock

CLIENT_METRICS = 16
SEVENS = b"\x07" * 16
INTERVAL_S = 300


class Rig:
    """A Telemetry, its metadata, and a client's connection."""

    def __init__(self) -> None:
        self.image = MetadataImage()
        self.telemetry = Telemetry(self.image, random.Random(1), lambda: 1_000)
        self.connect()

    def connect(self) -> None:
        self.connection = ConnectionInfo(
            "c", "PLAINTEXT", "h", 9092, "10.0.0.1", ("h", 9092), "java", "4.3.0", peer_port=50_000
        )

    def disconnect(self) -> None:
        if self.connection.on_close is not None:
            self.connection.on_close()

    def configure(self, name: str, values: Mapping[str, str | None]) -> None:
        delta = ImageDelta()
        for key, value in values.items():
            record = ConfigRecord(
                resource_type=CLIENT_METRICS, resource_name=name, name=key, value=value
            )
            self.image.replay(record, self.image.offset + 1, delta)
        self.telemetry.on_metadata(delta)

    def get(self, instance_id: bytes = SEVENS) -> tuple[int, int, list[str]]:
        """(id of the subscription, interval, metrics). RequestError."""
        _, found = self.telemetry.subscribe(instance_id, "client-1", self.connection)
        return found.subscription_id, found.interval_ms, found.metrics

    def push(
        self,
        subscription_id: int,
        instance_id: bytes = SEVENS,
        *,
        terminating: bool = False,
        compression_type: int = 0,
        size: int = 10,
    ) -> ErrorCode:
        try:
            self.telemetry.push(
                instance_id,
                "client-1",
                self.connection,
                subscription_id=subscription_id,
                is_terminating=terminating,
                compression_type=compression_type,
                size=size,
            )
        except RequestError as error:
            return error.code
        return ErrorCode.NONE

    def refused(self, instance_id: bytes = SEVENS) -> ErrorCode:
        with pytest.raises(RequestError) as refusal:
            self.get(instance_id)
        return refusal.value.code


@pytest.fixture
def rig(mock_clock: MockClock) -> Rig:
    return Rig()


async def test_without_subscriptions_nothing_is_asked_for(rig: Rig) -> None:
    # The id is Apache Kafka's for this client.
    assert rig.get() == (int.from_bytes(bytes.fromhex("d4c75bde"), signed=True), 300_000, [])


async def test_a_client_without_an_id_is_given_one(rig: Rig) -> None:
    first, _ = rig.telemetry.subscribe(ZERO_UUID, None, rig.connection)
    second, _ = rig.telemetry.subscribe(ZERO_UUID, None, rig.connection)
    assert len({first, second, ZERO_UUID}) == 3


async def test_a_client_is_heard_once_an_interval(rig: Rig, mock_clock: MockClock) -> None:
    subscription, _, _ = rig.get()
    assert rig.refused() == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    assert rig.push(subscription) == ErrorCode.NONE  # the first after a subscription
    assert rig.push(subscription) == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    mock_clock.jump(INTERVAL_S)
    assert rig.push(subscription) == ErrorCode.NONE
    assert rig.refused() == ErrorCode.THROTTLING_QUOTA_EXCEEDED
    mock_clock.jump(INTERVAL_S)
    rig.get()


@pytest.mark.parametrize(
    ("options", "code", "forgiven"),
    [
        ({"subscription_id": 1}, ErrorCode.UNKNOWN_SUBSCRIPTION_ID, True),
        ({"compression_type": 5}, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, True),
        ({"compression_type": -1}, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, True),
        ({"size": 1_001}, ErrorCode.TELEMETRY_TOO_LARGE, False),
        ({"size": 1_000}, ErrorCode.NONE, False),
        ({"compression_type": 4}, ErrorCode.NONE, False),
        ({"instance_id": ZERO_UUID}, ErrorCode.INVALID_REQUEST, False),
        ({"instance_id": bytes(15) + b"\1"}, ErrorCode.INVALID_REQUEST, False),
    ],
)
async def test_a_push_is_checked(
    rig: Rig, options: dict[str, int], code: ErrorCode, forgiven: bool
) -> None:
    subscription, _, _ = rig.get()
    assert rig.push(**{"subscription_id": subscription, **options}) == code  # type: ignore[arg-type]
    if forgiven:
        rig.get()
    else:
        assert rig.refused() == ErrorCode.THROTTLING_QUOTA_EXCEEDED


async def test_the_last_push_may_come_early_and_is_the_last(rig: Rig) -> None:
    subscription, _, _ = rig.get()
    assert rig.push(subscription) == ErrorCode.NONE
    assert rig.push(subscription, terminating=True) == ErrorCode.NONE
    assert rig.push(subscription, terminating=True) == ErrorCode.INVALID_REQUEST
    assert rig.push(subscription) == ErrorCode.INVALID_REQUEST


async def test_a_client_that_went_away_is_forgotten(rig: Rig) -> None:
    rig.get()
    rig.disconnect()
    rig.connect()
    rig.get()


async def test_a_client_that_says_nothing_is_forgotten_after_three_intervals(
    rig: Rig, mock_clock: MockClock
) -> None:
    subscription, _, _ = rig.get()
    assert rig.push(subscription, terminating=True) == ErrorCode.NONE
    mock_clock.jump(3 * INTERVAL_S - 1)
    assert rig.push(subscription) == ErrorCode.INVALID_REQUEST
    mock_clock.jump(3 * INTERVAL_S)
    assert rig.push(subscription) == ErrorCode.NONE


async def test_subscriptions_that_match_are_taken_together(rig: Rig) -> None:
    rig.configure("a", {"metrics": "one.,two.", "interval.ms": "1000"})
    rig.configure("b", {"metrics": "two.,three.", "interval.ms": "500", "match": "client_id=c.*"})
    rig.configure("c", {"metrics": "other.", "interval.ms": "100", "match": "client_id=x"})
    _, interval_ms, metrics = rig.get()
    assert interval_ms == 500
    assert sorted(metrics) == ["one.", "three.", "two."]


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ("client_id=client-1", True),
        ("client_id=client", False),  # the whole must match
        ("client_instance_id=BwcHBwcHBwcHBwcHBwcHBw", True),
        ("client_software_name=java,client_software_version=4.*", True),
        ("client_software_name=java,client_software_version=3.*", False),
        (r"client_software_name=\p{Lower}{4}", True),
        (r"client_software_name=\P{Lower}{4}", False),
        ("client_source_address=10\\.0\\.0\\.1,client_source_port=50000", True),
    ],
)
async def test_a_subscription_names_its_clients(rig: Rig, match: str, matches: bool) -> None:
    rig.configure("a", {"metrics": "m", "match": match})
    assert rig.get()[2] == (["m"] if matches else [])


async def test_a_subscription_that_makes_no_sense_is_left_out(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Apache Kafka may have left what this broker would not have taken."""
    rig.configure("a", {"metrics": "m", "match": "nonsense"})
    rig.configure("b", {"metrics": "n"})
    assert rig.get()[2] == ["n"]
    assert "ignoring the client metrics subscription a" in caplog.text


async def test_all_metrics_stand_for_all_others(rig: Rig) -> None:
    rig.configure("a", {"metrics": "one,two"})
    rig.configure("b", {"metrics": "*"})
    assert rig.get()[2] == ["*"]


async def test_metrics_stand_in_the_order_of_java(rig: Rig) -> None:
    """As java.util.HashSet lists them, so that a subscription has the same id everywhere."""
    rig.configure("a", {"metrics": "a,b,org.apache.kafka.producer.,org.apache.kafka.consumer.,c"})
    assert rig.get()[2] == [
        "org.apache.kafka.producer.",
        "a",
        "b",
        "org.apache.kafka.consumer.",
        "c",
    ]


async def test_a_change_of_subscriptions_makes_a_new_one_of_each(rig: Rig) -> None:
    first, _, _ = rig.get()
    rig.configure("a", {"metrics": "m"})
    second, _, metrics = rig.get()  # at once
    assert metrics == ["m"]
    assert first != second
    assert rig.push(first) == ErrorCode.UNKNOWN_SUBSCRIPTION_ID
    rig.configure("a", {"metrics": None})
    assert rig.get()[0] == first


async def test_no_more_clients_are_remembered_than_there_is_room_for(rig: Rig) -> None:
    rig.get()
    for number in range(INSTANCES_MAX):
        rig.get(b"%016d" % number)
    rig.get()
    assert rig.refused(b"%016d" % (INSTANCES_MAX - 1)) == ErrorCode.THROTTLING_QUOTA_EXCEEDED


async def ask(client: Client) -> int:
    """The id of the subscription."""
    response = await client.call(
        GetTelemetrySubscriptionsRequest(client_instance_id=SEVENS),
        GetTelemetrySubscriptionsResponse,
    )
    assert response.error_code == ErrorCode.NONE
    assert response.accepted_compression_types == [4, 3, 1, 2]
    assert response.delta_temporality
    return response.subscription_id


@pytest.mark.parametrize(
    ("codec", "metrics", "code"),
    [
        (Codec.NONE, b"anything", ErrorCode.NONE),
        (Codec.ZSTD, compress(Codec.ZSTD, b"anything"), ErrorCode.NONE),
        (Codec.GZIP, compress(Codec.GZIP, b"anything"), ErrorCode.NONE),
        (Codec.ZSTD, b"anything", ErrorCode.INVALID_RECORD),
        (Codec.SNAPPY, b"anything", ErrorCode.INVALID_RECORD),
        (Codec.LZ4, b"", ErrorCode.NONE),
    ],
)
async def test_what_is_pushed_must_decompress(
    codec: Codec, metrics: bytes, code: ErrorCode
) -> None:
    async with Machine().broker(settings={"telemetry.max.bytes": "1000000"}) as client:
        subscription_id = await ask(client)
        response = await client.call(
            PushTelemetryRequest(
                client_instance_id=SEVENS,
                subscription_id=subscription_id,
                compression_type=codec,
                metrics=metrics,
            ),
            PushTelemetryResponse,
        )
        assert response.error_code == code


async def test_a_client_that_connects_again_is_a_new_one() -> None:
    machine = Machine()
    async with machine.broker() as client:
        response = await client.call(MetadataRequest(topics=[]), MetadataResponse)
        address = response.brokers[0].host, response.brokers[0].port
        for _ in range(2):
            again = Client(await machine.network.connect(*address))
            await ask(again)
            await again.stream.aclose()
            await client.call(MetadataRequest(topics=[]), MetadataResponse)
            await trio.testing.wait_all_tasks_blocked()
