"""Registers this broker with the controller, sends heartbeats, and leaves in order.

A broker starts fenced. The controller unfences it when a heartbeat shows that the broker has
replayed its own registration. Source: BrokerLifecycleManager.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from kbroker.complaints import Complaints
from kbroker.controller.features import (
    DIRECTORY_ASSIGNMENT_SINCE,
    METADATA_VERSION,
    SUPPORTED,
)
from kbroker.wire.errors import ErrorCode, RequestError
from kbroker.wire.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from kbroker.wire.messages.broker_registration import (
    BrokerRegistrationRequest,
    Feature,
    Listener,
)
from kbroker.wire.uuids import random_uuid, uuid_text

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from kbroker.config import BrokerConfig
    from kbroker.controller.channel import ControllerChannel
    from kbroker.controller.delta import ImageDelta
    from kbroker.controller.image import MetadataImage
    from kbroker.server.binding import ListenerSettings

CATCH_UP_POLL_S = 0.005

log = logging.getLogger("kbroker.registration")


class DirectoryNotTold(Exception):
    """The broker must stop: clients would be sent to replicas that are gone."""


class Registration:
    """One incarnation of one broker."""

    def __init__(
        self,
        controller: ControllerChannel,
        node_id: int,
        interval_ms: Callable[[], int],
        applied_offset: Callable[[], int],
        *,
        cordoned: Callable[[], list[bytes]],
        failure_timeout_ms: int,
    ) -> None:
        """`applied_offset`: up to where (inclusive) this broker follows the metadata log.

        `cordoned`: the ids of the log directories that take no new replicas. `failure_timeout_ms`:
        how long it may take to tell the controller of a directory that has failed.
        """
        self._controller = controller
        self._node_id = node_id
        self._interval_ms = interval_ms
        self._applied_offset = applied_offset
        self._cordoned = cordoned
        self._failure_timeout_s = failure_timeout_ms / 1000
        self._offline: dict[bytes, float] = {}  # directory id: when the controller must know
        self._untold: set[bytes] = set()
        self._urgent = trio.Event()
        self._beating = trio.CancelScope()
        self._complaints = Complaints(trio.current_time)
        self._registration: BrokerRegistrationRequest | None = None
        self._says_too_little = False
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
                self._says_too_little = True
                self._urgent.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Heartbeat until cancelled, or until this broker leaves."""
        task_status.started()
        is_fenced = False
        with self._beating:
            while True:
                with trio.move_on_after(self._interval_ms() / 1000):
                    await self._urgent.wait()
                self._urgent = trio.Event()
                try:
                    if self._says_too_little:
                        self._says_too_little = False
                        assert self._registration is not None
                        self._registration.log_dirs = [
                            each
                            for each in self._registration.log_dirs
                            if each not in self._offline
                        ]
                        await self._register(self._registration)
                    answer = await self._beat()
                except RequestError as error:
                    if self._complaints.is_news(str(error)):
                        log.warning("the controller refused a heartbeat: %s", error)
                    answer = None
                self._check_untold()
                if answer is not None:
                    if answer.is_fenced and not is_fenced:
                        log.warning("the controller has fenced this broker")
                    is_fenced = answer.is_fenced

    def on_directory_failed(self, directory_id: bytes) -> None:
        """The controller has to know that its replicas are gone."""
        self._offline[directory_id] = trio.current_time() + self._failure_timeout_s
        self._untold.add(directory_id)
        self._urgent.set()

    def _check_untold(self) -> None:
        """DirectoryNotTold if the controller still takes a failed directory for a good one."""
        if self._untold:
            first = min(self._untold, key=self._offline.__getitem__)
            if trio.current_time() >= self._offline[first]:
                raise DirectoryNotTold(
                    f"log directory {uuid_text(first)} has failed, and the controller could not be "
                    f"informed within {self._failure_timeout_s:g} s"
                )

    async def leave(self, timeout_s: float) -> None:
        """Controlled shutdown: the controller moves leaders away before it lets this broker go."""
        self._beating.cancel()  # a heartbeat that wants to stay would take the wish to leave back
        with trio.move_on_after(timeout_s):
            while True:
                try:
                    if (await self._heartbeat(want_shut_down=True)).should_shut_down:
                        return
                except RequestError as error:
                    log.warning("the controller refused a controlled shutdown: %s", error)
                    return
                await trio.sleep(CATCH_UP_POLL_S)

    async def _register(self, request: BrokerRegistrationRequest) -> None:
        response = await self._controller.send(request)
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
        offline = list(self._offline)
        response = await self._controller.send(
            BrokerHeartbeatRequest(
                broker_id=self._node_id,
                broker_epoch=self.broker_epoch,
                current_metadata_offset=self._applied_offset(),
                want_shut_down=want_shut_down,
                offline_log_dirs=offline,
                cordoned_log_dirs=self._cordoned(),
            )
        )
        if response.error_code:
            raise RequestError(ErrorCode(response.error_code))
        self._untold.difference_update(offline)
        return response


def registration_request(
    config: BrokerConfig,
    cluster_id: str,
    addresses: Iterable[tuple[ListenerSettings, tuple[str, int]]],
    *,
    log_dirs: list[bytes],
    previous_broker_epoch: int,
    rng: random.Random,
) -> BrokerRegistrationRequest:
    """`addresses`: each listener with the address that it is bound to. `log_dirs`: ids.

    `previous_broker_epoch`: that of the last clean stop. Without it the controller takes the stop
    for a crash, and strikes this broker from the eligible leaders of every partition.
    """
    return BrokerRegistrationRequest(
        broker_id=config.node_id,
        cluster_id=cluster_id,
        incarnation_id=random_uuid(rng),
        previous_broker_epoch=previous_broker_epoch,
        listeners=[
            Listener(name=each.name, host=(each.advertised or bound)[0], port=bound[1])
            for each, bound in addresses
        ],
        features=[
            Feature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in SUPPORTED.items()
        ],
        rack=config.broker_rack,
        log_dirs=log_dirs,
    )
