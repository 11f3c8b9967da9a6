"""The broker's files, read by Apache Kafka's dump-log after traffic of every kind."""
