"""The metadata log on disk, in Kafka's files, which the quorum writes and reads."""
