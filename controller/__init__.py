"""The controller: a Raft quorum (KRaft) and the cluster metadata that it replicates.

`raft/` agrees on a log. Replaying the log gives `image.py`. `state/` decides what to write next.
Only `driver.py` uses Trio. A node uses the controller through `controller.py`.
"""
