"""The controller: a Raft quorum (KRaft) and the cluster metadata that it replicates.

`raft/` agrees on a log. Replaying the log gives `image.py`. `decisions.py` is the table of
requests, and `state/` decides on each what to write next. Only `driver.py` uses Trio. A node uses
the controller through `controller.py`.
"""
