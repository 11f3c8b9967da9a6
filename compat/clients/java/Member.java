// One member of a consumer group on Java's client. It says what happens in lines of JSON
// (see compat/clients/member.py) and leaves the group on SIGTERM.
//
//   Member BOOTSTRAP GROUP TOPIC KEY=VALUE...

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public final class Member {
    public static void main(String[] args) {
        var config = new Properties();
        config.put("bootstrap.servers", args[0]);
        config.put("group.id", args[1]);
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        for (int i = 3; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            config.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        var consumer =
            new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        var closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                closed.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try {
            consumer.subscribe(List.of(args[2]), new Listener());
            while (true) {
                pollOnce(consumer);
            }
        } catch (WakeupException e) {
            // SIGTERM
        } catch (RuntimeException e) {
            say("error", "\"message\": \"" + e.getClass().getSimpleName() + "\"");
        } finally {
            consumer.close();
            say("closed", "\"message\": \"\"");
            closed.countDown();
        }
    }

    private static void pollOnce(KafkaConsumer<byte[], byte[]> consumer) {
        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
        if (records.isEmpty()) {
            return;
        }
        Map<Integer, long[]> ranges = new TreeMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            ranges.computeIfAbsent(record.partition(), p -> new long[] {record.offset(), 0})[1] =
                record.offset();
        }
        ranges.forEach((partition, range) -> say("records", String.format(
            "\"partition\": %d, \"first\": %d, \"last\": %d", partition, range[0], range[1])));
        try {
            consumer.commitSync();
        } catch (RebalanceInProgressException | CommitFailedException e) {
            say("commit-failed", "\"message\": \"" + e.getClass().getSimpleName() + "\"");
        }
    }

    private static void say(String event, String rest) {
        System.out.println("{\"event\": \"" + event + "\", " + rest + "}");
        System.out.flush();
    }

    private static final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            say("assigned", list(partitions));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            say("revoked", list(partitions));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            say("lost", list(partitions));
        }

        private static String list(Collection<TopicPartition> partitions) {
            return "\"partitions\": " + partitions.stream().map(TopicPartition::partition)
                .map(String::valueOf).collect(Collectors.joining(", ", "[", "]"));
        }
    }
}
