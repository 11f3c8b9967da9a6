"""The same requests to two brokers, and every field of their answers compared.

    python -m compat.differential HOST:PORT HOST:PORT [--only API,...] [--json OUT] [--html OUT]
    python -m compat.differential HOST:PORT      # with Apache Kafka 4.3.0 as recorded: no Java
    python -m compat.differential record         # renew that recording

For authors of a broker (the first address is the judge, Apache Kafka say, the second yours) and for
authors of clients who want to know where two brokers part. Topics and groups are made under names
that no one else has. A step that neither answers in time counts as a difference, unless the
scenario expects silence. Exit status: 0 without differences, 1 with some, 2 if it could not run.

- `scenarios/`: what is asked, a module per family of APIs. A scenario is a function that talks to
  one broker; it runs once for each, at the same time. A module dropped into the folder is found.
- `normal.py`: what two equal brokers may answer differently (ids, ports, times), with reasons.
- `choices.py`: differences of kbroker that are meant; docs/differences.md says why.
- `recording.py`: answers of a broker in a file; `recorded/` has those of Apache Kafka 4.3.0.
- `report.py`: for a terminal, as JSON (its shape stands there) and as a page.
- `coverage.py`: whether every API at every version was asked all kinds of things.
"""
