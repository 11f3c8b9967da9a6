"""KRaft's consensus as a state machine: events in, effects out (KIP-500, KIP-595, KIP-996)."""
