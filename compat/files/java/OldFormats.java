import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.StringJoiner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

/**
 * Segment files in the message formats of any age, behind a line protocol on standard input and output.
 *
 *   write FILE MAGIC CODEC TYPE STAMP BASE COUNT EPOCH  ->  ok SIZE   the file's size afterwards
 *   read FILE  ->  ok BATCH|BATCH|...   each "base last size magic stamp record,record,..."
 *
 * TYPE is CreateTime or LogAppendTime; STAMP counts on by one for each record, or is the time of the append.
 * Record i of offset o has no key where o is divisible by 3, no value where it is by 7.
 */
public final class OldFormats {
    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                String[] words = line.split(" ", -1);
                answer = "ok " + (words[0].equals("write") ? write(words) : read(new File(words[1])));
            } catch (Exception e) {
                answer = "error " + e;
            }
            out.print(answer.replace('\n', ' ') + "\n");
            out.flush();
        }
    }

    private static String write(String[] words) throws Exception {
        Path file = Path.of(words[1]);
        byte magic = Byte.parseByte(words[2]);
        Compression codec = Compression.of(CompressionType.forName(words[3])).build();
        TimestampType type = magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE : TimestampType.forName(words[4]);
        long stamp = Long.parseLong(words[5]);
        long base = Long.parseLong(words[6]);
        int count = Integer.parseInt(words[7]);
        try (var builder = MemoryRecords.builder(
                ByteBuffer.allocate(1 << 20), magic, codec, type, base, stamp, Integer.parseInt(words[8]))) {
            for (long offset = base; offset < base + count; offset++) {
                byte[] key = offset % 3 == 0 ? null : ("key" + offset).getBytes(StandardCharsets.UTF_8);
                byte[] value = offset % 7 == 0 ? null : ("value " + offset + " ").repeat(5).getBytes(StandardCharsets.UTF_8);
                builder.appendWithOffset(offset, magic == 0 ? RecordBatch.NO_TIMESTAMP : stamp + offset - base, key, value);
            }
            ByteBuffer built = builder.build().buffer();
            byte[] bytes = new byte[built.remaining()];
            built.get(bytes);
            Files.write(file, bytes, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
        return Long.toString(Files.size(file));
    }

    private static String read(File file) throws Exception {
        var batches = new StringJoiner("|");
        try (FileRecords records = FileRecords.open(file, false)) {
            for (RecordBatch batch : records.batches()) {
                batch.ensureValid();
                var inside = new StringJoiner(",");
                for (Record record : batch) {
                    inside.add(record.offset() + ":" + record.timestamp() + ":" + hex(record.key()) + ":" + hex(record.value()));
                }
                batches.add(batch.baseOffset() + " " + batch.lastOffset() + " " + batch.sizeInBytes() + " "
                    + batch.magic() + " " + batch.maxTimestamp() + " " + inside);
            }
        }
        return batches.toString();
    }

    private static String hex(ByteBuffer bytes) {
        if (bytes == null) return "-";
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return "x" + HexFormat.of().formatHex(copy);
    }
}
