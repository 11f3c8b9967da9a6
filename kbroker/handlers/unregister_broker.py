"""UnregisterBroker (key 64), v0 (KIP-500): removes a broker from the cluster's metadata.

Decided in `controller/state/brokers.py`.
"""

from __future__ import annotations

from kbroker.requests.forward import forward

handle = forward
