"""The controller: a Raft quorum (KRaft) and the cluster metadata it replicates.

`raft/` agrees on a log, `image.py` is what replaying that log gives, `state/` decides what to write
next,
`driver.py` is the only Trio, `controller.py` the surface a node composes (see its docstring).
"""
