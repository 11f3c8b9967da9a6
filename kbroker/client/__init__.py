"""A small Kafka client on Trio, for the command line. It works with any broker since Kafka 3.0.

A connection has one request in flight; every retry, wait and buffer is limited. Every failure is a
ClientError with one sentence for the person at the terminal.
"""
