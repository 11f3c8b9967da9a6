"""CRC-32C (Castagnoli), computed in C."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer = bytes | bytearray | memoryview
    Crc32c = Callable[[Buffer], int]


def _load() -> Crc32c:
    """The function of the crc32c package's extension, without the package's __init__.

    That one asks importlib.metadata for a version: 10 ms, a good part of the broker's start.
    """
    package = find_spec("crc32c")
    if package is not None:
        spec = PathFinder.find_spec("_crc32c", package.submodule_search_locations)
        if spec is not None and spec.loader is not None:
            extension = module_from_spec(spec)
            spec.loader.exec_module(extension)
            compute: Crc32c = extension.crc32c
            return compute
    from crc32c import crc32c as compute_slow_start

    return compute_slow_start


crc32c = _load()
