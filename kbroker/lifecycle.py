"""This broker's life in the cluster: registers with the controller, heartbeats, leaves in order.

Kafka's BrokerLifecycleManager. The broker starts fenced; the controller unfences it when a
heartbeat says that it has caught up with its own registration.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.controller.features import DIRECTORY_ASSIGNMENT_SINCE, METADATA_VERSION
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import (
    BrokerRegistrationRequest,
    BrokerRegistrationResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kbroker.controller.channel import ControllerChannel
    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage

CATCH_UP_POLL_S = 0.005

log = logging.getLogger("kbroker.lifecycle")


class Lifecycle:
    """One incarnation of one broker."""

    def __init__(
        self,
        controller: ControllerChannel,
        node_id: int,
        interval_ms: Callable[[], int],
        applied_offset: Callable[[], int],
    ) -> None:
        """`applied_offset`: up to where (inclusive) this broker follows the metadata log."""
        self._controller = controller
        self._node_id = node_id
        self._interval_ms = interval_ms
        self._applied_offset = applied_offset
        self._beating = trio.CancelScope()
        self._registration: BrokerRegistrationRequest | None = None
        self._says_too_little = trio.Event()
        self.broker_epoch = -1

    async def register(self, request: BrokerRegistrationRequest) -> None:
        """Returns once this broker is registered and unfenced. RequestError if it is refused."""
        self._registration = request
        await self._register(request)
        while True:
            answer = await self._beat()
            if answer is not None and not answer.is_fenced:
                return
            await trio.sleep(CATCH_UP_POLL_S)

    def on_metadata(self, delta: ImageDelta, image: MetadataImage) -> None:
        """A listener of the metadata: registers this broker once more, in the same life, when
        metadata.version comes to know of log directories (BrokerRegistrationTracker).
        """
        me = image.brokers.get(self._node_id)
        if METADATA_VERSION in delta.features_changed and me is not None:
            knows_directories = image.metadata_version >= DIRECTORY_ASSIGNMENT_SINCE
            if knows_directories and not me.log_dirs:
                self._says_too_little.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Heartbeat until cancelled, or until this broker leaves."""
        task_status.started()
        with self._beating:
            while True:
                with trio.move_on_after(self._interval_ms() / 1000):
                    await self._says_too_little.wait()
                try:
                    if self._says_too_little.is_set():
                        self._says_too_little = trio.Event()
                        assert self._registration is not None
                        await self._register(self._registration)
                    answer = await self._beat()
                except RequestError as error:
                    log.warning("heartbeat refused: %s", error)
                    continue
                if answer is not None and answer.is_fenced:
                    log.warning("the controller has fenced this broker")

    async def leave(self, timeout_s: float) -> None:
        """Controlled shutdown: the controller moves leaders away before it lets this broker go."""
        self._beating.cancel()  # a heartbeat that wants to stay would take the wish to leave back
        with trio.move_on_after(timeout_s):
            while True:
                try:
                    if (await self._heartbeat(want_shut_down=True)).should_shut_down:
                        return
                except RequestError as error:
                    log.warning("controlled shutdown refused: %s", error)
                    return
                await trio.sleep(CATCH_UP_POLL_S)

    async def _register(self, request: BrokerRegistrationRequest) -> None:
        response = await self._controller.send(request)
        assert isinstance(response, BrokerRegistrationResponse)
        if response.error_code:
            raise RequestError(ErrorCode(response.error_code))
        self.broker_epoch = response.broker_epoch

    async def _beat(self) -> BrokerHeartbeatResponse | None:
        """None where the answer takes so long that the next heartbeat is due: it waits for the
        controller's disk, and what keeps the session is that the controller hears of this broker.
        """
        with trio.move_on_after(self._interval_ms() / 1000):
            return await self._heartbeat(want_shut_down=False)
        return None

    async def _heartbeat(self, *, want_shut_down: bool) -> BrokerHeartbeatResponse:
        response = await self._controller.send(
            BrokerHeartbeatRequest(
                broker_id=self._node_id,
                broker_epoch=self.broker_epoch,
                current_metadata_offset=self._applied_offset(),
                want_shut_down=want_shut_down,
            )
        )
        assert isinstance(response, BrokerHeartbeatResponse)
        if response.error_code:
            raise RequestError(ErrorCode(response.error_code))
        return response
