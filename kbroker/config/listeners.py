"""`listeners`, `advertised.listeners` and `listener.security.protocol.map`, taken apart.

Rules and sentences follow SocketServerConfigs.listenerListToEndPoints and KafkaConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError

if TYPE_CHECKING:
    from .broker import BrokerConfig

SERVED_PROTOCOLS = ("PLAINTEXT",)
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_EVERY_INTERFACE = ("", "0.0.0.0", "::")


class Endpoint(NamedTuple):
    """One listener; an empty host means every interface, port 0 any free port."""

    name: str
    protocol: str
    host: str
    port: int


def client_listeners(config: BrokerConfig) -> tuple[Endpoint, ...]:
    """The listeners that serve clients, in their order; ConfigError."""
    controllers = _controller_names(config)
    endpoints = [_endpoint(config, entry, "listeners") for entry in config.listeners]
    _check_unique(endpoints)
    clients = tuple(endpoint for endpoint in endpoints if endpoint.name not in controllers)
    if not clients:
        raise ConfigError(
            "There must be at least one broker advertised listener."
            " Perhaps all listeners appear in controller.listener.names?"
        )
    for endpoint in clients:
        if endpoint.protocol not in SERVED_PROTOCOLS:
            raise ConfigError(
                f"The listener {endpoint.name} asks for {endpoint.protocol}, which is not served "
                "yet: only PLAINTEXT is."
            )
    return clients


def advertised_listeners(config: BrokerConfig) -> dict[str, Endpoint]:
    """By listener name, what clients are told; no entry: what they dialled. ConfigError."""
    names = {endpoint.name for endpoint in client_listeners(config)}
    advertised: dict[str, Endpoint] = {}
    for entry in config.advertised_listeners or ():
        endpoint = _endpoint(config, entry, "advertised.listeners")
        if endpoint.name in _controller_names(config):
            continue
        if endpoint.name not in names:
            raise ConfigError(
                "advertised.listeners listener names must be equal to or a subset of the ones "
                f"defined in listeners. Found {endpoint.name}. The valid options based on the "
                f"current configuration are {','.join(sorted(names))}"
            )
        if endpoint.host in _EVERY_INTERFACE:
            raise ConfigError(
                "advertised.listeners cannot use the nonroutable meta-address "
                f"{endpoint.host or '0.0.0.0'}. Use a routable IP address."
            )
        advertised[endpoint.name] = endpoint
    return advertised


def _controller_names(config: BrokerConfig) -> frozenset[str]:
    return frozenset(name.upper() for name in config.controller_listener_names)


def _endpoint(config: BrokerConfig, entry: str, key: str) -> Endpoint:
    name, separator, address = entry.partition("://")
    host, colon, port = address.rpartition(":")
    number = port.removeprefix("-")
    if not (separator and colon and number.isascii() and number.isdigit() and int(port) < 65536):
        raise ConfigError(f"Unable to parse {entry} to a broker endpoint in {key}")
    name = name.upper()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return Endpoint(name, _protocol(config, name), host, int(port))


def _protocol(config: BrokerConfig, name: str) -> str:
    mapped: dict[str, str] = {}
    for pair in filter(None, config.listener_security_protocol_map.split(",")):
        listener, colon, protocol = pair.strip().rpartition(":")
        if not colon or protocol.upper() not in _PROTOCOLS:
            raise ConfigError(
                f"Invalid value {config.listener_security_protocol_map} for configuration "
                f"listener.security.protocol.map: {pair} is no listener:protocol pair"
            )
        mapped[listener.upper()] = protocol.upper()
    is_default = "listener.security.protocol.map" not in config.static
    if name not in mapped and is_default and name in _controller_names(config):
        return "PLAINTEXT"
    if name not in mapped:
        raise ConfigError(f"No security protocol defined for listener {name}")
    return mapped[name]


def _check_unique(endpoints: list[Endpoint]) -> None:
    names = [endpoint.name for endpoint in endpoints]
    if len(set(names)) != len(names):
        raise ConfigError(f"Each listener must have a different name, listeners: {','.join(names)}")
    # One port may serve an IPv4 and an IPv6 address, each once.
    taken = [(":" in e.host, e.port) for e in endpoints if e.port > 0]
    if len(set(taken)) != len(taken):
        ports = ",".join(f"{e.name}://{e.host}:{e.port}" for e in endpoints)
        raise ConfigError(f"Each listener must have a different port, listeners: {ports}")
