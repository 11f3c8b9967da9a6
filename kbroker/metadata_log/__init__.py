"""The metadata log on disk, in Kafka's files: what the quorum of `kbroker.controller` stands on."""
