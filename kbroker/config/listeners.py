"""Parses `listeners`, `advertised.listeners` and `listener.security.protocol.map`.

Rules and messages follow SocketServerConfigs.listenerListToEndPoints and KafkaConfig.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError
from .values import java_integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .broker import BrokerConfig

SERVED_PROTOCOLS = ("PLAINTEXT",)
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_EVERY_INTERFACE = ("0.0.0.0", "::")
_MAP = "listener.security.protocol.map"


class Endpoint(NamedTuple):
    """One listener; an empty host means every interface, port 0 any free port."""

    name: str
    protocol: str
    host: str
    port: int


def client_listeners(config: BrokerConfig) -> tuple[Endpoint, ...]:
    """The listeners that serve clients, in their order; ConfigError."""
    endpoints = _endpoints(config, "listeners", config.listeners)
    known = {*(endpoint.name for endpoint in endpoints), *config.controller_listener_names}
    for name in config.early_start_listeners or ():
        if name not in known:
            raise ConfigError(
                f"early.start.listeners contains listener {name}, but this is not contained in "
                "listeners or controller.listener.names"
            )
    # One port may serve an IPv4 and an IPv6 address, each once.
    taken = [(":" in e.host, e.port) for e in endpoints if e.port > 0]
    if len(set(taken)) != len(taken):
        raise ConfigError(
            f"Each listener must have a different port, listeners: {','.join(config.listeners)}"
        )
    clients = _of_clients(config, endpoints)
    for endpoint in clients:
        if endpoint.protocol not in SERVED_PROTOCOLS:
            raise ConfigError(
                f"Listener {endpoint.name} uses {endpoint.protocol}, which is not supported yet: "
                "only PLAINTEXT is."
            )
    return clients


def controller_listeners(config: BrokerConfig) -> tuple[str, ...]:
    """The entries of `listeners` that Apache Kafka would serve controllers on; here none is."""
    endpoints = _endpoints(config, "listeners", config.listeners)
    return tuple(
        entry
        for entry, endpoint in zip(config.listeners, endpoints, strict=True)
        if endpoint.name in config.controller_listener_names
    )


def advertised_listeners(config: BrokerConfig) -> dict[str, Endpoint]:
    """By listener name, what clients are told; no entry: what they dialled. ConfigError."""
    listeners = client_listeners(config)
    entries = config.advertised_listeners
    if entries is None:
        _check_inter_broker(config, listeners)
        return {}
    endpoints = _endpoints(config, "advertised.listeners", entries)
    for endpoint in endpoints:
        if endpoint.host in _EVERY_INTERFACE:
            raise ConfigError(
                "advertised.listeners cannot use the nonroutable meta-address "
                f"{endpoint.host}. Use a routable IP address."
            )
    clients = _of_clients(config, endpoints)
    _check_inter_broker(config, clients)
    names = {endpoint.name for endpoint in listeners}
    for endpoint in clients:
        if endpoint.name not in names:
            raise ConfigError(
                "advertised.listeners listener names must be equal to or a subset of the ones "
                f"defined in listeners. Found {endpoint.name}. The valid options based on the "
                f"current configuration are {','.join(sorted(names))}"
            )
    # Without a host it is this machine's name, as in Apache Kafka.
    return {
        each.name: each if each.host else each._replace(host=socket.getfqdn()) for each in clients
    }


def _of_clients(config: BrokerConfig, endpoints: list[Endpoint]) -> tuple[Endpoint, ...]:
    clients = tuple(e for e in endpoints if e.name not in config.controller_listener_names)
    if not clients:
        raise ConfigError(
            "There must be at least one broker advertised listener."
            " Perhaps all listeners appear in controller.listener.names?"
        )
    return clients


def _check_inter_broker(config: BrokerConfig, advertised: tuple[Endpoint, ...]) -> None:
    """The listener that brokers would use among themselves is one of those that are advertised."""
    name = config.inter_broker_listener_name
    if name is None:
        name = config.security_inter_broker_protocol
    else:
        name = name.upper()
        if "security.inter.broker.protocol" in config.static:
            raise ConfigError(
                "Only one of inter.broker.listener.name and security.inter.broker.protocol should "
                "be set."
            )
        if name not in _protocols(config):
            raise ConfigError(
                f"Listener with name {name} defined in inter.broker.listener.name not found in "
                f"{_MAP}."
            )
    names = [endpoint.name for endpoint in advertised]
    if name not in names:
        raise ConfigError(
            "inter.broker.listener.name must be a listener name defined in advertised.listeners. "
            "The valid options based on currently configured listeners are " + ",".join(names)
        )


def _endpoints(config: BrokerConfig, key: str, entries: tuple[str, ...]) -> list[Endpoint]:
    protocols = _protocols(config)
    endpoints = [_endpoint(entry, key, protocols) for entry in entries]
    names = [endpoint.name for endpoint in endpoints]
    if len(set(names)) != len(names):
        raise ConfigError(f"Each listener must have a different name, {key}: {','.join(entries)}")
    return endpoints


def _endpoint(entry: str, key: str, protocols: Mapping[str, str]) -> Endpoint:
    name, separator, address = entry.partition("://")
    host, colon, port = address.rpartition(":")
    digits = port.removeprefix("-")
    number = java_integer(port) if digits.isascii() and digits.isdigit() else None
    if not (separator and colon and number is not None and number < 65536):
        raise ConfigError(f"Unable to parse {entry} to a broker endpoint in {key}")
    name = name.upper()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if name not in protocols:
        raise ConfigError(f"No security protocol defined for listener {name}")
    return Endpoint(name, protocols[name], host, int(port))


def _protocols(config: BrokerConfig) -> dict[str, str]:
    """By listener name; the controllers' are PLAINTEXT where the map is not set."""
    mapped: dict[str, str] = {}
    text = config.listener_security_protocol_map
    for pair in filter(None, (part.strip() for part in text.split(","))):
        listener, colon, protocol = (part.strip() for part in pair.rpartition(":"))
        if not (listener and colon and protocol.upper() in _PROTOCOLS):
            raise ConfigError(
                f"Invalid value {text} for configuration {_MAP}: {pair} is not a pair of the form "
                "listener:protocol"
            )
        mapped[listener.upper()] = protocol.upper()
    if _MAP not in config.static:
        for name in config.controller_listener_names:
            mapped.setdefault(name, "PLAINTEXT")
    return mapped
