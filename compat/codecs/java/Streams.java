import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.internal.CompressionType;

/**
 * Kafka's own compressed streams behind a line protocol on standard input and output.
 *
 *   CODEC MAGIC HEX  ->  ok HEX   what a reader gets until the stream ends
 *
 * A stream that cannot be read is answered `error TEXT`.
 */
public final class Streams {
    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                String[] words = line.split(" ", -1);
                Compression codec = Compression.of(CompressionType.forName(words[0])).build();
                byte[] read = read(codec, Byte.parseByte(words[1]), HexFormat.of().parseHex(words[2]));
                answer = "ok " + HexFormat.of().formatHex(read);
            } catch (InvocationTargetException e) {
                answer = "error " + e.getCause();
            } catch (Throwable e) {
                answer = "error " + e;
            }
            out.print(answer.replace('\n', ' ') + "\n");
            out.flush();
        }
    }

    private static byte[] read(Compression codec, byte magic, byte[] bytes) throws Exception {
        // The type of its last parameter moved to another package between releases.
        Method wrap = Arrays.stream(Compression.class.getMethods())
            .filter(method -> method.getName().equals("wrapForInput")).findFirst().orElseThrow();
        Object supplier = wrap.getParameterTypes()[2].getField("NO_CACHING").get(null);
        var read = new ByteArrayOutputStream();
        try (InputStream stream = (InputStream) wrap.invoke(codec, ByteBuffer.wrap(bytes), magic, supplier)) {
            for (int one = stream.read(); one >= 0; one = stream.read()) read.write(one);
        }
        return read.toByteArray();
    }
}
