"""UnregisterBroker (key 64), v0 (KIP-500): the cluster forgets a broker.

Decided in `controller/state/brokers.py`.
"""

from __future__ import annotations

from kbroker.requests.forward import forward

handle = forward
