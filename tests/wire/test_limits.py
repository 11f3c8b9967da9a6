"""Arrays and tagged sections that are longer than a release of Kafka decodes."""

from __future__ import annotations

import pytest

from kbroker.wire import codec, reference
from kbroker.wire.errors import ProtocolError
from kbroker.wire.limits import NO_LIMITS, Limits
from kbroker.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from kbroker.wire.varint import encode_unsigned

LIMITS = Limits(elements_max=5, tagged_fields_max=300)


def topics(count: int, partitions: int = 1) -> DescribeLogDirsRequest:
    topic = DescribableLogDirTopic(topic="t", partitions=list(range(partitions)))
    return DescribeLogDirsRequest(topics=[topic] * count)


@pytest.mark.parametrize("version", [1, 4])
@pytest.mark.parametrize(
    ("request_", "is_decoded"),
    [(topics(5, 5), True), (topics(6), False), (topics(1, 6), False), (topics(0), True)],
    ids=["at the limit", "structs", "numbers", "none"],
)
def test_arrays(request_: DescribeLogDirsRequest, is_decoded: bool, version: int) -> None:
    encoded = codec.encode(request_, version)
    cls = DescribeLogDirsRequest
    assert codec.decoder(cls, version)(encoded, 0) == request_
    for decode in (
        codec.decoder(cls, version, limits=LIMITS),
        lambda data, at: reference.decode(cls, version, data, at, LIMITS),
    ):
        if is_decoded:
            assert decode(encoded, 0) == request_
        else:
            with pytest.raises(ProtocolError, match="6"):
                decode(encoded, 0)


def test_null_is_no_array() -> None:
    request = DescribeLogDirsRequest(topics=None)
    encoded = codec.encode(request, 4)
    assert codec.decoder(DescribeLogDirsRequest, 4, limits=LIMITS)(encoded, 0) == request


@pytest.mark.parametrize("count", [0, 1, 127, 128, 300, 301])
def test_tagged_sections(count: int) -> None:
    request = topics(1)
    encoded = codec.encode(request, 4)
    tags = b"".join(encode_unsigned(tag) + b"\0" for tag in range(count))
    data = encoded[:-1] + encode_unsigned(count) + tags
    for limits in (NO_LIMITS, LIMITS):
        for decode in (
            codec.decoder(DescribeLogDirsRequest, 4, limits=limits),
            lambda data, at, limits=limits: reference.decode(
                DescribeLogDirsRequest, 4, data, at, limits
            ),
        ):
            if count <= 300 or limits is NO_LIMITS:
                assert decode(data, 0) == request
            else:
                with pytest.raises(ProtocolError, match="301 tagged fields"):
                    decode(data, 0)
