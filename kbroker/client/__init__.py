"""A small Kafka client on Trio, for the command line. It speaks to any broker since Kafka 3.0.

One request is in flight per connection; every retry, wait and buffer has a bound. What goes wrong
is a ClientError: one sentence for the person at the terminal.
"""
