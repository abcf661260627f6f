"""A shop in confluent-kafka (pip install confluent-kafka): python shop_confluent.py USER."""

import json
import os
import sys
import time
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

SERVERS = os.environ.get("FRESHET_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
PREFIX = os.environ.get("FRESHET_KAFKA__TOPIC_PREFIX", "")
SECONDS = 30


def confirmed(error: object, message: object) -> None:
    """Raise what Kafka refused, out of ``flush()`` below."""
    if error is not None:
        raise KafkaException(error)


def main(user: str) -> int:
    """Send, wait for the list that answers, print it; the exit code."""
    consumer = Consumer({"bootstrap.servers": SERVERS, "group.id": "unused", "enable.auto.commit": False})
    topic = f"{PREFIX}recommendations"
    known = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    partitions = [TopicPartition(topic, number) for number in known]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition)[1]  # the end, as it is now
    consumer.assign(partitions)

    visit = uuid.uuid4().hex  # an event gets its id where it happens, and keeps it when it is sent again
    event = {"user_id": user, "timestamp": time.time_ns() // 1_000_000}
    strainer = {"item_id": "tea-strainer", "title": "Fine tea strainer", "categories": ["Kitchen", "Tea"]}
    messages = [
        ("items", "tea-strainer", strainer),
        ("clicks", user, event | {"event_id": f"{visit}-1", "item_id": "tea-pot"}),
        ("clicks", user, event | {"event_id": f"{visit}-2", "item_id": "tea-strainer"}),
        ("purchases", user, event | {"event_id": f"{visit}-3", "item_id": "tea-pot", "price": 49.0}),
    ]
    # Without the partitioner librdkafka would put users elsewhere than Java and kafka-python do.
    options = {"enable.idempotence": True, "acks": "all", "partitioner": "murmur2_random"}
    producer = Producer({"bootstrap.servers": SERVERS, "delivery.timeout.ms": 1000 * SECONDS, **options})
    for topic, key, value in messages:
        producer.produce(PREFIX + topic, key=key, value=json.dumps(value), on_delivery=confirmed)
    producer.flush()

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue  # librdkafka mends what can be mended, and says so here
        found = json.loads(message.value())
        if found["trigger"]["event_id"].startswith(visit):
            for item in found["items"]:
                print(item["item_id"], *item["reason"].values())
            return 0
    print(f"no list for {user} in {SECONDS} s: does a worker run?", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:2] or ["ann"]))
    except KafkaException as error:
        sys.exit(f"Kafka at {SERVERS}: {error}")
