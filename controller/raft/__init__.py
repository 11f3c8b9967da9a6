"""KRaft's consensus (KIP-500, KIP-595, KIP-996) as a state machine: events in, effects out, nothing
else.
"""
