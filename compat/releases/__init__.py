"""What each release of Apache Kafka says of itself, taken from its jars into `kbroker/releases`."""
