"""Consume a topic's partitions from their beginning with librdkafka, as fast as it goes.

    python -m compat.bench.consume BOOTSTRAP TOPIC PARTITIONS RECORDS

Prints JSON: records, value bytes, and the seconds from the assignment to the last record.
"""

from __future__ import annotations

import json
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

_SILENCE_S = 60


def main() -> None:
    bootstrap, topic = sys.argv[1], sys.argv[2]
    partitions, wanted = int(sys.argv[3]), int(sys.argv[4])
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            # With its default of a second, a client whose queue is full asks for nothing meanwhile,
            # and a broker that fills it sooner is read more slowly.
            "fetch.queue.backoff.ms": 10,
        }
    )
    started = time.perf_counter()
    consumer.assign([TopicPartition(topic, index, 0) for index in range(partitions)])
    records = value_bytes = 0
    while records < wanted:
        messages = consumer.consume(10_000, timeout=_SILENCE_S)
        if not messages:
            raise TimeoutError(f"{records} of {wanted} records, then silence")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            value_bytes += len(message.value() or b"")
        records += len(messages)
    elapsed_s = time.perf_counter() - started
    consumer.close()
    print(json.dumps({"records": records, "bytes": value_bytes, "seconds": elapsed_s}))


if __name__ == "__main__":
    main()
