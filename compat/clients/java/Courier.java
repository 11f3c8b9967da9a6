// The Java client of Apache Kafka at the command of compat/clients/java_client.py: one JVM for many
// calls. A command is a line of tab-separated words on standard input. Its output ends with the line
// "--ok", or "--error " and the stack trace in one line.
//
//   produce BOOTSTRAP TOPIC COUNT KEY=VALUE...      COUNT records follow as lines; their offsets
//   read BOOTSTRAP TOPIC:COUNT...                   records from the beginning
//   read-from BOOTSTRAP TOPIC PARTITION OFFSET COUNT
//   offset-for-time BOOTSTRAP TOPIC PARTITION TIMESTAMP_MS     an offset, or nothing
//   offset-range BOOTSTRAP TOPIC PARTITION                     beginning and end
//   commit BOOTSTRAP GROUP TOPIC PARTITION OFFSET METADATA sync|async
//   committed BOOTSTRAP GROUP TOPIC PARTITION                  offset and metadata, or nothing
//   number BOOTSTRAP TOPIC PARTITIONS COUNT RATE KEY=VALUE...  value i to partition i % PARTITIONS,
//                                                              RATE a second (0: at full speed)
//   count BOOTSTRAP TOPIC PARTITIONS COUNT                     check what `number` wrote
//
// A record is a line of tab-separated fields: topic, partition, offset, timestamp, key, value,
// headers; bytes in base64, null as "-", headers as NAME:VALUE joined by commas.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Courier {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final long SILENCE_MS = 60_000;
    private static final BufferedReader INPUT =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        for (String line = INPUT.readLine(); line != null; line = INPUT.readLine()) {
            try {
                run(line.split("\t", -1));
                OUT.println("--ok");
            } catch (Exception e) {
                var trace = new StringWriter();
                e.printStackTrace(new PrintWriter(trace));
                OUT.println("--error " + trace.toString().replace("\n", " | "));
            }
            OUT.flush();
        }
    }

    private static void run(String[] args) throws Exception {
        switch (args[0]) {
            case "produce" -> produce(args);
            case "read" -> read(args);
            case "read-from" -> readFrom(args);
            case "offset-for-time" -> offsetForTime(args);
            case "offset-range" -> offsetRange(args);
            case "commit" -> commit(args);
            case "committed" -> committed(args);
            case "number" -> number(args);
            case "count" -> count(args);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    private static void produce(String[] args) throws Exception {
        List<String> lines = new ArrayList<>();
        for (int left = Integer.parseInt(args[3]); left > 0; left--) {
            lines.add(INPUT.readLine());
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = producer(args[1], args, 4)) {
            for (String line : lines) {
                String[] f = line.split("\t", -1);
                sent.add(producer.send(new ProducerRecord<>(
                    args[2], Integer.parseInt(f[1]), Long.parseLong(f[3]),
                    decode(f[4]), decode(f[5]), headers(f[6]))));
            }
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                OUT.println(one.get().offset());
            }
        }
    }

    private static void read(String[] args) {
        Map<String, Integer> wanted = new HashMap<>();
        for (int i = 2; i < args.length; i++) {
            int colon = args[i].lastIndexOf(':');
            wanted.put(args[i].substring(0, colon), Integer.parseInt(args[i].substring(colon + 1)));
        }
        try (var consumer = consumer(args[1], null)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : wanted.keySet()) {
                for (PartitionInfo info : consumer.partitionsFor(topic)) {
                    partitions.add(new TopicPartition(topic, info.partition()));
                }
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            int left = wanted.values().stream().mapToInt(Integer::intValue).sum();
            print(consumer, left);
        }
    }

    private static void readFrom(String[] args) {
        var partition = new TopicPartition(args[2], Integer.parseInt(args[3]));
        try (var consumer = consumer(args[1], null)) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, Long.parseLong(args[4]));
            print(consumer, Integer.parseInt(args[5]));
        }
    }

    private static void offsetForTime(String[] args) {
        var partition = new TopicPartition(args[2], Integer.parseInt(args[3]));
        try (var consumer = consumer(args[1], null)) {
            OffsetAndTimestamp found =
                consumer.offsetsForTimes(Map.of(partition, Long.parseLong(args[4]))).get(partition);
            if (found != null) {
                OUT.println(found.offset());
            }
        }
    }

    private static void offsetRange(String[] args) {
        var partition = new TopicPartition(args[2], Integer.parseInt(args[3]));
        try (var consumer = consumer(args[1], null)) {
            OUT.println(consumer.beginningOffsets(List.of(partition)).get(partition));
            OUT.println(consumer.endOffsets(List.of(partition)).get(partition));
        }
    }

    private static void commit(String[] args) {
        var partition = new TopicPartition(args[3], Integer.parseInt(args[4]));
        var offsets = Map.of(partition, new OffsetAndMetadata(Long.parseLong(args[5]), args[6]));
        try (var consumer = consumer(args[1], args[2])) {
            consumer.assign(List.of(partition));
            if (args[7].equals("sync")) {
                consumer.commitSync(offsets);
                return;
            }
            var outcome = new AtomicReference<String>();
            consumer.commitAsync(offsets, (done, error) -> outcome.set(String.valueOf(error)));
            long deadline = System.currentTimeMillis() + SILENCE_MS;
            while (outcome.get() == null && System.currentTimeMillis() < deadline) {
                consumer.poll(POLL);
            }
            if (!"null".equals(outcome.get())) {
                throw new IllegalStateException("asynchronous commit: " + outcome.get());
            }
        }
    }

    private static void committed(String[] args) {
        var partition = new TopicPartition(args[3], Integer.parseInt(args[4]));
        try (var consumer = consumer(args[1], args[2])) {
            OffsetAndMetadata found = consumer.committed(java.util.Set.of(partition)).get(partition);
            if (found != null) {
                OUT.println(found.offset() + "\t" + found.metadata());
            }
        }
    }

    private static void number(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[3]);
        int records = Integer.parseInt(args[4]);
        int rate = Integer.parseInt(args[5]);
        var failure = new AtomicReference<Exception>();
        long start = System.currentTimeMillis();
        try (var producer = producer(args[1], args, 6)) {
            for (int i = 0; i < records; i++) {
                if (rate > 0) {
                    long ahead = start + 1000L * i / rate - System.currentTimeMillis();
                    Thread.sleep(Math.max(ahead, 0));
                }
                byte[] value = Integer.toString(i).getBytes(StandardCharsets.US_ASCII);
                producer.send(new ProducerRecord<>(args[2], i % partitions, null, value),
                    (metadata, error) -> {
                        if (error != null) {
                            failure.compareAndSet(null, error);
                        }
                    });
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    private static void count(String[] args) {
        int partitions = Integer.parseInt(args[3]);
        int records = Integer.parseInt(args[4]);
        List<TopicPartition> all = new ArrayList<>();
        for (int i = 0; i < partitions; i++) {
            all.add(new TopicPartition(args[2], i));
        }
        int seen = 0;
        long[] next = new long[partitions];
        try (var consumer = consumer(args[1], null)) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            long deadline = System.currentTimeMillis() + SILENCE_MS;
            while (seen < records && System.currentTimeMillis() < deadline) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                    int partition = record.partition();
                    long value = Long.parseLong(new String(record.value(), StandardCharsets.US_ASCII));
                    long wanted = next[partition] * partitions + partition;
                    if (record.offset() != next[partition] || value != wanted) {
                        throw new IllegalStateException(record + " where " + wanted + " belongs");
                    }
                    next[partition]++;
                    seen++;
                    deadline = System.currentTimeMillis() + SILENCE_MS;
                }
            }
        }
        OUT.println(seen);
    }

    private static void print(KafkaConsumer<byte[], byte[]> consumer, int count) {
        int left = count;
        long deadline = System.currentTimeMillis() + SILENCE_MS;
        while (left > 0) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                if (left-- > 0) {
                    OUT.println(String.join("\t", record.topic(), String.valueOf(record.partition()),
                        String.valueOf(record.offset()), String.valueOf(record.timestamp()),
                        encode(record.key()), encode(record.value()), headers(record)));
                }
                deadline = System.currentTimeMillis() + SILENCE_MS;
            }
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(left + " records did not come");
            }
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String[] args, int from) {
        var config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("acks", "all");
        for (int i = from; i < args.length; i++) {
            int equals = args[i].indexOf('=');
            config.put(args[i].substring(0, equals), args[i].substring(equals + 1));
        }
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
        var config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("enable.auto.commit", "false");
        if (group != null) {
            config.put("group.id", group);
        }
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<Header> headers(String field) {
        List<Header> headers = new ArrayList<>();
        for (String one : field.isEmpty() ? new String[0] : field.split(",")) {
            String[] parts = one.split(":");
            String name = new String(decode(parts[0]), StandardCharsets.UTF_8);
            headers.add(new RecordHeader(name, decode(parts[1])));
        }
        return headers;
    }

    private static String headers(ConsumerRecord<byte[], byte[]> record) {
        List<String> parts = new ArrayList<>();
        for (Header header : record.headers()) {
            parts.add(encode(header.key().getBytes(StandardCharsets.UTF_8)) + ":" + encode(header.value()));
        }
        return String.join(",", parts);
    }

    private static byte[] decode(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field.substring(1));
    }

    private static String encode(byte[] bytes) {
        return bytes == null ? "-" : "=" + Base64.getEncoder().encodeToString(bytes);
    }
}
