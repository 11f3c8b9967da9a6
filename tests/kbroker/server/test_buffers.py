"""Buffers that go from hand to hand."""

from __future__ import annotations

from kbroker.server.buffers import (
    LENT_BUFFERS_MAX,
    POOLED_BUFFER_BYTES,
    POOLED_BUFFERS_MAX,
    BufferPool,
)


def test_what_is_given_back_is_lent_again_and_no_more_than_a_few_are_kept() -> None:
    pool = BufferPool()
    lent = [pool.take() for _ in range(POOLED_BUFFERS_MAX + 2)]
    assert {len(each) for each in lent} == {POOLED_BUFFER_BYTES}
    for each in lent:
        pool.give_back(each)
    assert pool.lent == 0
    again = [pool.take() for _ in lent]
    assert len({id(each) for each in again}) == len(lent)
    assert len({id(each) for each in again} & {id(each) for each in lent}) == POOLED_BUFFERS_MAX


def test_a_buffer_of_another_size_is_not_the_pools() -> None:
    pool = BufferPool()
    pool.take()
    other = bytearray(POOLED_BUFFER_BYTES - 1)
    pool.give_back(other)
    assert pool.lent == 1
    assert pool.take() is not other


def test_buffers_are_scarce_when_many_are_lent() -> None:
    pool = BufferPool()
    lent = [pool.take() for _ in range(LENT_BUFFERS_MAX)]
    assert not pool.is_scarce
    lent.append(pool.take())
    assert pool.is_scarce
    pool.give_back(lent.pop())
    assert not pool.is_scarce
