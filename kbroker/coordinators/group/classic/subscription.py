"""What a consumer says of itself in the metadata of its protocol (Kafka's
ConsumerProtocolSubscription).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

CONSUMER_PROTOCOL: Final = "consumer"

_INT16 = Struct(">h")
_INT32 = Struct(">i")


def subscription_topics(metadata: bytes) -> list[str]:
    """The topics of a ConsumerProtocolSubscription of any version: they are all newer ones'
    prefix too.

    Raises struct.error or ValueError on anything else.
    """
    view = memoryview(metadata)
    if _INT16.unpack_from(view)[0] < 0:
        raise ValueError("the version of the subscription is negative")
    (count,) = _INT32.unpack_from(view, 2)
    if not 0 <= count <= len(view):
        raise ValueError(f"the subscription claims {count} topics in {len(view)} bytes")
    position = 6
    topics = []
    for _ in range(count):
        (size,) = _INT16.unpack_from(view, position)
        position += 2
        if size < 0 or position + size > len(view):
            raise ValueError(
                f"the subscription has a topic name of {size} bytes at position {position} of "
                f"{len(view)}"
            )
        topics.append(str(view[position : position + size], "utf-8"))
        position += size
    return topics
