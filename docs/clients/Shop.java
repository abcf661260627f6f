// A shop in Java, kafka-clients and jackson-databind on the class path: java -cp 'jars/*' Shop.java USER

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.serialization.*;

public class Shop {
    static final String SERVERS = System.getenv().getOrDefault("FRESHET_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092");
    static final String PREFIX = System.getenv().getOrDefault("FRESHET_KAFKA__TOPIC_PREFIX", "");
    static final Duration PATIENCE = Duration.ofSeconds(30);

    public static void main(String[] arguments) {
        try {
            System.exit(shop(arguments.length > 0 ? arguments[0] : "ann"));
        } catch (KafkaException | ExecutionException | InterruptedException | java.io.IOException error) {
            System.err.println("Kafka at " + SERVERS + ": " + error.getMessage());
            System.exit(1);
        }
    }

    static int shop(String user) throws ExecutionException, InterruptedException, java.io.IOException {
        Map<String, Object> kafka = Map.of("bootstrap.servers", SERVERS, "default.api.timeout.ms", 10_000);
        try (var consumer = new KafkaConsumer<>(kafka, new StringDeserializer(), new StringDeserializer());
             // acks=all and idempotence are the defaults of Java's producer, and so is murmur2.
             var producer = new KafkaProducer<>(Map.<String, Object>of("bootstrap.servers", SERVERS, "acks", "all"),
                     new StringSerializer(), new StringSerializer())) {
            var partitions = consumer.partitionsFor(PREFIX + "recommendations").stream()
                    .map(one -> new TopicPartition(one.topic(), one.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(consumer::position);  // a seek is lazy: before anything is sent

            String visit = UUID.randomUUID().toString();  // an id is made once, and kept when sent again
            long now = System.currentTimeMillis();
            var json = new ObjectMapper();
            var sent = new ArrayList<Future<RecordMetadata>>();
            var strainer = Map.of("item_id", "tea-strainer", "title", "Fine tea strainer", "categories", List.of("Tea"));
            sent.add(producer.send(new ProducerRecord<>(PREFIX + "items", "tea-strainer", json.writeValueAsString(strainer))));
            for (var did : List.of("clicks 1 tea-pot", "clicks 2 tea-strainer", "purchases 3 tea-pot")) {
                String[] word = did.split(" ");
                var event = Map.of("user_id", user, "timestamp", now, "event_id", visit + "-" + word[1], "item_id", word[2]);
                sent.add(producer.send(new ProducerRecord<>(PREFIX + word[0], user, json.writeValueAsString(event))));
            }
            for (var delivery : sent) delivery.get();  // throws what Kafka refused
            for (long end = now + PATIENCE.toMillis(); System.currentTimeMillis() < end; )
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    var found = json.readTree(record.value());
                    if (!found.at("/trigger/event_id").asText().startsWith(visit)) continue;
                    for (var item : found.get("items"))
                        System.out.println(String.join(" ", item.get("item_id").asText(),
                                item.at("/reason/kind").asText(), item.at("/reason/item_id").asText()).trim());
                    return 0;
                }
        }
        System.err.println("no list for " + user + " in 30 s: does a worker run?");
        return 2;
    }
}
