"""A shop in kafka-python (pip install kafka-python): python shop_kafka_python.py USER."""

import json
import os
import sys
import time
import uuid

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

SERVERS = os.environ.get("FRESHET_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
PREFIX = os.environ.get("FRESHET_KAFKA__TOPIC_PREFIX", "")
SECONDS = 30


def main(user: str) -> int:
    """Send, wait for the list that answers, print it; the exit code."""
    consumer = KafkaConsumer(bootstrap_servers=SERVERS, bootstrap_timeout_ms=10_000)
    topic = f"{PREFIX}recommendations"
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)  # a seek is lazy: before anything is sent, not at the first poll

    visit = uuid.uuid4().hex  # an event gets its id where it happens, and keeps it when it is sent again
    event = {"user_id": user, "timestamp": time.time_ns() // 1_000_000}
    strainer = {"item_id": "tea-strainer", "title": "Fine tea strainer", "categories": ["Kitchen", "Tea"]}
    messages = [
        ("items", "tea-strainer", strainer),
        ("clicks", user, event | {"event_id": f"{visit}-1", "item_id": "tea-pot"}),
        ("clicks", user, event | {"event_id": f"{visit}-2", "item_id": "tea-strainer"}),
        ("purchases", user, event | {"event_id": f"{visit}-3", "item_id": "tea-pot", "price": 49.0}),
    ]
    producer = KafkaProducer(bootstrap_servers=SERVERS, acks="all", enable_idempotence=True)
    sent = [
        producer.send(PREFIX + to, json.dumps(value).encode(), key.encode()) for to, key, value in messages
    ]
    for delivery in sent:
        delivery.get(timeout=SECONDS)  # raises what Kafka refused
    producer.close()

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for record in (one for batch in consumer.poll(500).values() for one in batch):
            found = json.loads(record.value)
            if found["trigger"]["event_id"].startswith(visit):
                for item in found["items"]:
                    print(item["item_id"], *item["reason"].values())
                return 0
    print(f"no list for {user} in {SECONDS} s: does a worker run?", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2] or ["ann"]))
    except KafkaError as error:
        sys.exit(f"Kafka at {SERVERS}: {error}")
