"""What a function in the table of decisions knows besides the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from .image import MetadataImage
    from .raft.node import RaftNode
    from .settings import ControllerSettings
    from .state.config_schema import ConfigSchema
    from .state.sessions import BrokerSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """What the active controller knows when it decides. A decision changes nothing of it."""

    image: MetadataImage  # with what is not committed yet
    sessions: BrokerSessions
    settings: ControllerSettings
    schema: ConfigSchema
    rng: Random
    now_ms: int  # of the clock that the sessions have
    next_offset: int  # where the first record of the decision goes
    kraft_version: int  # the level of the quorum, which no record of the image says


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumContext:
    """What any node of the quorum knows of the quorum."""

    node: RaftNode
    settings: ControllerSettings
    now_ms: int  # of the quorum's clock
    wall_ms: int
