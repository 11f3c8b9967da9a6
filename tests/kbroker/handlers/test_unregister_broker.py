"""A broker that is forgotten, and what becomes of its partitions."""

from __future__ import annotations

import pytest

from kbroker.controller.model import NO_LEADER
from kbroker.controller.state.brokers import decide_unregister_broker
from kbroker.handlers import unregister_broker
from kbroker.wire.api_keys import ApiKey
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest
from kbroker.wire.messages.unregister_broker import UnregisterBrokerRequest
from tests.controller.parts import Cluster, registration, topic

from .admin import admin


@pytest.mark.parametrize("broker_id", [77, -1])
async def test_an_unknown_broker(broker_id: int) -> None:
    async with admin() as broker:
        with pytest.raises(
            RequestError, match=f"^Broker ID {broker_id} is not currently registered$"
        ) as caught:
            await unregister_broker.handle(
                UnregisterBrokerRequest(broker_id=broker_id),
                broker.ctx(ApiKey.UNREGISTER_BROKER, 0),
            )
        assert caught.value.code == ErrorCode.BROKER_ID_NOT_REGISTERED


async def test_its_heartbeats_are_refused_until_it_registers_again() -> None:
    async with admin() as broker:
        ctx = broker.ctx(ApiKey.UNREGISTER_BROKER, 0)
        epoch = broker.image.brokers[1].epoch
        response = await unregister_broker.handle(UnregisterBrokerRequest(broker_id=1), ctx)
        assert (response.error_code, response.error_message) == (ErrorCode.NONE, "")
        assert broker.image.brokers == {}
        send = ctx.services.controller.send
        heard = await send(BrokerHeartbeatRequest(broker_id=1, broker_epoch=epoch))
        assert heard.error_code == ErrorCode.STALE_BROKER_EPOCH
        again = await send(registration(1, incarnation=2))
        assert again.error_code == ErrorCode.NONE
        assert broker.image.brokers[1].epoch > epoch


def test_others_lead_what_it_led() -> None:
    cluster = Cluster(brokers=2)
    cluster.create(topic("shared", -1, -1, assignments=[(0, [1, 2])]))
    cluster.create(topic("alone", -1, -1, assignments=[(0, [1])]))
    request = UnregisterBrokerRequest(broker_id=1)
    cluster.commit(decide_unregister_broker(cluster.context(), request).records)
    assert list(cluster.image.brokers) == [2]
    shared, alone = (cluster.image.topics[name].partitions[0] for name in ("shared", "alone"))
    assert (shared.leader, shared.isr, shared.replicas) == (2, [2], [1, 2])
    assert (alone.leader, alone.isr, alone.elr) == (NO_LEADER, [], [1])
    # What it knew last is still its to lead.
    cluster.register(1, incarnation=2)
    cluster.heartbeat(1)
    assert cluster.image.topics["alone"].partitions[0].leader == 1
