"""Mutation testing: the code is broken on purpose, one small edit at a time, and the unit tests
must notice each. `python -m tests.mutation` runs it; docs/mutants.md has the result.
"""
