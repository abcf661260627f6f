"""Kafka as Freshet uses it: connections, topics, a producer and a reader for tools, and two local brokers."""
