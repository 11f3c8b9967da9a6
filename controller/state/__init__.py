"""Decisions: functions of (context, request) that return records and a response.

A decision changes nothing: state changes only by replay. It reads no clock, and has no random
generator of its own: the context holds the time and a generator.
"""
