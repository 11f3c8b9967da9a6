"""The process of a broker on systems without fork: imports everything, then serves."""

from __future__ import annotations

import os

from .channel import Channel
from .child import serve
from .template import make_directory


def main() -> None:
    # The broker prints elsewhere from the start on: these two are the test's.
    with open(os.dup(0), "rb") as asked, open(os.dup(1), "wb") as answers:
        channel = Channel.over(asked, answers)
        request = channel.receive()
        if request is not None:
            serve(channel, request, make_directory(request))
        os._exit(0)  # a thread may still wait for the channel
