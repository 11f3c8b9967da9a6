"""Stock clients against the broker: kafka-python, aiokafka, librdkafka and Java's own."""
