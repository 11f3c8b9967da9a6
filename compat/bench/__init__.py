"""The benchmark: Apache Kafka 4.3.0 and kbroker in turn, on the same work, in one go.

python -m compat.bench                    every row, three rounds
python -m compat.bench --preset quick     small sizes, one round: does it work at all?
python -m compat.bench --rows start,single --rounds 5
python -m compat.bench --rows growth-log --size log_bytes=2e9 --json results.json
python -m compat.bench --plots docs/plots results.json
"""
