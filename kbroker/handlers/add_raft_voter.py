"""AddRaftVoter (key 80), v0-1 (KIP-853): adds a voter to the metadata quorum.

Answered in `controller/voter_changes.py`.
v1 whether to wait for the commit (KIP-1186)
"""

from __future__ import annotations

from kbroker.requests.forward import forward

handle = forward
