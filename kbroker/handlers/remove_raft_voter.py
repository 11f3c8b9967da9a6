"""RemoveRaftVoter (key 81), v0 (KIP-853): removes a voter from the metadata quorum.

Answered in `controller/voter_changes.py`.
"""

from __future__ import annotations

from kbroker.requests.forward import forward

handle = forward
