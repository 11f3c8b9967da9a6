"""Brokers as processes of their own: started, stopped, killed and started again on the same data.

`Kbroker` is ours, `ApacheKafka` is the peer, `CommandBroker` is any command line, `Address` is a
broker that someone else runs. All listen on 127.0.0.1 and keep their port over restarts.
"""

from __future__ import annotations

import os
import secrets
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from compat import apache
from compat.raw import RawClient

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 180.0  # Apache Kafka with 10,000 partitions, on a busy machine
STOP_TIMEOUT_S = 180.0
POLL_INTERVAL_S = 0.005

# kafka-server-start.sh and kafka-run-class.sh of 4.3.0 start a broker with these.
APACHE_JVM_FLAGS = (
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:MaxInlineLevel=15",
    "-Djava.awt.headless=true",
)


class BrokerError(Exception):
    """A broker process did not start, died or did not stop."""


class Broker:
    """A bootstrap address, and whether the process behind it is ours to stop."""

    name = "address"
    controllable = False

    def __init__(self, port: int, host: str = HOST) -> None:
        self.host = host
        self.port = port

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"


class Address(Broker):
    """A broker that is not ours to start or stop."""

    @classmethod
    def parse(cls, text: str) -> Address:
        """From HOST:PORT. Raises ValueError on anything else."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(int(port), host)


class BrokerProcess(Broker):
    """A broker on `folder`, which holds its data and the log of its standard error."""

    controllable = True

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(0)
        self.folder = folder
        self.settings = dict(settings or {})
        self.start_s = 0.0  # of the last start, until clients were served
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        """The log directory: the partitions' folders lie in it."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the process wrote to standard error (and, but for kbroker, standard output)."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, on the port it had before if it had one, and wait until it serves clients."""
        assert not self.running, "already running"
        self._prepare()
        started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = self._spawn(log.fileno())
        try:
            self._await_ready(started + START_TIMEOUT_S)
        except BaseException:
            self.kill()
            raise
        self.start_s = time.monotonic() - started

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        process = self._process
        assert process is not None, "not started"
        process.terminate()
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise BrokerError(f"{self.name} did not stop in {STOP_TIMEOUT_S:.0f} s") from None
        finally:
            self._close_pipes()

    def kill(self) -> None:
        """SIGKILL and reap."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        self._close_pipes()

    def restart(self) -> None:
        """Stop cleanly and start again on the same data and port."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Kill what runs and remove the folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self, size_bytes: int = 4000) -> str:
        """The end of its log, for a message."""
        return self.log.read_bytes()[-size_bytes:].decode(errors="replace")

    def _prepare(self) -> None:
        """What has to be done before the process starts, and does not count as its start."""

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def _await_ready(self, deadline: float) -> None:
        raise NotImplementedError

    def _await_answer(self, deadline: float) -> None:
        """Wait until ApiVersions is answered on the port."""
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                raise BrokerError(f"{self.name} ended at start:\n{self.log_tail()}")
            try:
                with RawClient(self.host, self.port, timeout_s=5) as client:
                    client.exchange(API_VERSIONS_V0)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise BrokerError(f"{self.name} is not ready:\n{self.log_tail()}") from None
                time.sleep(POLL_INTERVAL_S)

    def _close_pipes(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()


# Header v1 (key 18, version 0, correlation id 1, client id "compat") and an empty body.
API_VERSIONS_V0 = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x06compat"


class Kbroker(BrokerProcess):
    """`kbroker serve` of this checkout; ready when it says so."""

    name = "kbroker"

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "kbroker", "serve"]
        command += ["--listen", f"{self.host}:{self.port}"]
        if "log.dirs" not in self.settings:
            command += ["--data", str(self.data)]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log)

    def _await_ready(self, deadline: float) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            readable, _, _ = select.select([pipe], [], [], max(left_s, 0))
            if not readable:
                raise BrokerError(f"kbroker is not ready:\n{self.log_tail()}")
            read = os.read(pipe, 4096)
            if not read:
                raise BrokerError(f"kbroker ended at start:\n{self.log_tail()}")
            line += read
        text = line.decode().strip()
        label, _, address = text.partition(" ")
        host, _, port = address.rpartition(":")
        known = {str(found[0]) for *_, found in socket.getaddrinfo(self.host, None)}
        if label != "ready:" or host.strip("[]") not in known or not port.isdigit():
            raise BrokerError(f"kbroker said {text!r} instead of 'ready: {self.host}:PORT'")
        if self.port not in (0, int(port)):
            raise BrokerError(f"kbroker listens on {port}, not on {self.port}")
        self.port = int(port)


class ApacheKafka(BrokerProcess):
    """A node of Apache Kafka that is broker and controller; ready when ApiVersions is answered.

    `release` is the one at whose levels a fresh cluster begins; None: the jars' own. `version` is
    that of the jars.
    """

    name = "apache"

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        release: str | None = None,
        version: str = apache.VERSION,
    ) -> None:
        super().__init__(folder, settings)
        self._release = release
        self._version = version
        self._controller_port = 0
        self._format_options: tuple[str, ...] = ()

    def format(self, *options: str) -> None:
        """Make the data directory, which another broker may then start on. The options are those
        of `kafka-storage format`.
        """
        self._format_options = options
        self._prepare()

    def _prepare(self) -> None:
        if not self.port:
            self.port, self._controller_port = free_ports(2)
        properties = self.folder / "server.properties"
        node_id = self.settings.get("node.id", "1")
        config = {
            "process.roles": "broker,controller",
            "node.id": node_id,
            "controller.quorum.voters": f"{node_id}@{HOST}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.data),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            **self.settings,
        }
        properties.write_text("".join(f"{key}={value}\n" for key, value in config.items()))
        if not (self.data / "meta.properties").exists():
            cluster_id = secrets.token_urlsafe(16).replace("-", "a").replace("_", "b")
            options = ["-t", cluster_id, "-c", str(properties), *self._format_options]
            if self._release is not None:
                options += ["--release-version", self._release]
            apache.run_tool("storage", "format", *options, version=self._version)

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        properties = str(self.folder / "server.properties")
        command = apache.tool_command(
            "broker", properties, heap="1G", flags=APACHE_JVM_FLAGS, version=self._version
        )
        return subprocess.Popen(command, stdout=log, stderr=log)

    def _await_ready(self, deadline: float) -> None:
        self._await_answer(deadline)


class CommandBroker(BrokerProcess):
    """A broker by its command line, with {host}, {port} and {data} filled in.

    Ready when ApiVersions is answered.
    """

    def __init__(self, folder: Path, name: str, command: str) -> None:
        super().__init__(folder)
        self.name = name
        self._command = command

    def _prepare(self) -> None:
        if not self.port:
            (self.port,) = free_ports(1)
        self.data.mkdir(exist_ok=True)

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        text = self._command.format(
            host=self.host, port=self.port, data=shlex.quote(str(self.data))
        )
        return subprocess.Popen(shlex.split(text), stdout=log, stderr=log)

    def _await_ready(self, deadline: float) -> None:
        self._await_answer(deadline)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports
