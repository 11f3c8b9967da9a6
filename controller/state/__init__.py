"""Decisions: functions of (image, request, settings, ...) that return records and a response.

None changes anything: state moves only in replay. None reads a clock or rolls a die of its own.
"""
