import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Kafka's own codecs behind a line protocol on standard input and output.
 *
 *   parse NAME VERSION HEX    ->  ok HEX JSON     the bytes read and written again, and what they say
 *   random NAME VERSION SEED  ->  ok HEX JSON     a message made here
 *   default NAME VERSION      ->  ok HEX JSON     one with nothing set
 *   convert NAME VERSION HEX TO  ->  ok HEX       read at one version and written at another
 *   error CODE                ->  ok NAME RETRIABLE MESSAGE
 *
 * A request that fails is answered `error TEXT`. NAME is the schema's. Nothing here knows the schemas:
 * which fields a version has, and which may be null, is found by trying Kafka's classes.
 */
public final class Codecs {
    private static final String[] PLACES = {
        "org.apache.kafka.common.message.%sData", "org.apache.kafka.common.message.%s",
        "org.apache.kafka.common.metadata.%s", "org.apache.kafka.coordinator.group.generated.%s",
        "org.apache.kafka.coordinator.transaction.generated.%s",
        "org.apache.kafka.coordinator.share.generated.%s", "org.apache.kafka.raft.generated.%s",
    };
    private static final String[] TEXTS = {
        "", "a", "topic-1", "größe", "ключ", "\0", "𝄞", "x".repeat(126), "x".repeat(127), "é".repeat(100),
    };
    /** What a field may hold at a version: nothing but its default, any value, or null besides. */
    private enum Allowed { DEFAULT, VALUE, NULL }

    private final Map<String, Class<?>> classes = new HashMap<>();
    private final Map<String, Allowed> allowed = new HashMap<>();

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        var codecs = new Codecs();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = "ok " + codecs.answer(line.split(" ", -1));
            } catch (InvocationTargetException e) {
                answer = "error " + e.getCause();
            } catch (Exception e) {
                answer = "error " + e;
            }
            out.print(answer.replace('\n', ' ') + "\n");
            out.flush();
        }
    }

    private String answer(String[] words) throws Exception {
        if (words[0].equals("error")) {
            Errors error = Errors.forCode(Short.parseShort(words[1]));
            return error + " " + (error.exception() instanceof RetriableException) + " " + error.message();
        }
        Class<?> type = find(words[1]);
        short version = Short.parseShort(words[2]);
        if (words[0].equals("convert")) {
            Message message = read(type, version, HexFormat.of().parseHex(words[3]));
            return HexFormat.of().formatHex(write(message, Short.parseShort(words[4])));
        }
        Message message = switch (words[0]) {
            case "parse" -> read(type, version, HexFormat.of().parseHex(words[3]));
            case "random" -> random(type, version, new Random(Long.parseLong(words[3])));
            case "default" -> create(type);
            default -> throw new IllegalArgumentException(words[0]);
        };
        String hex = HexFormat.of().formatHex(write(message, version));
        Method toJson = Class.forName(type.getName() + "JsonConverter").getMethod("write", type, short.class);
        return hex + " " + (JsonNode) toJson.invoke(null, message, version);
    }

    private Class<?> find(String name) throws ClassNotFoundException {
        Class<?> known = classes.get(name);
        for (int i = 0; known == null && i < PLACES.length; i++) {
            try {
                known = Class.forName(String.format(PLACES[i], name));
            } catch (ClassNotFoundException e) {
                continue;
            }
        }
        if (known == null) throw new ClassNotFoundException(name);
        classes.put(name, known);
        return known;
    }

    private static Message create(Class<?> type) throws ReflectiveOperationException {
        return (Message) type.getConstructor().newInstance();
    }

    private static Message read(Class<?> type, short version, byte[] bytes) throws Exception {
        Message message = create(type);
        var buffer = ByteBuffer.wrap(bytes);
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) throw new IllegalStateException(buffer.remaining() + " bytes are left");
        return message;
    }

    private static byte[] write(Message message, short version) {
        var cache = new ObjectSerializationCache();
        var buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) throw new IllegalStateException("size() is not what write() wrote");
        return buffer.array();
    }

    private Message random(Class<?> type, short version, Random random) throws Exception {
        Message message = create(type);
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) || Modifier.isPrivate(field.getModifiers())) continue;
            Allowed may = allowedAt(type, field, version);
            boolean must = may == Allowed.VALUE && isRecords(field);
            if (may == Allowed.DEFAULT || random.nextInt(8) == 0 && !must) continue;
            boolean isNull = may == Allowed.NULL && random.nextInt(4) == 0;
            Object value = isNull ? null : value(field, field.getGenericType(), version, random);
            set(message, field, value);
        }
        return message;
    }

    private static void set(Message message, Field field, Object value) throws ReflectiveOperationException {
        String name = field.getName();
        String setter = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
        Method method = message.getClass().getMethod(setter, field.getType());
        try {
            method.invoke(message, value);
        } catch (InvocationTargetException e) {
            // Setters of unsigned types refuse what is out of their range.
            method.invoke(message, value instanceof Integer i ? (Object) (i & 0xFFFF) : (Long) value & 0xFFFFFFFFL);
        }
    }

    private Allowed allowedAt(Class<?> type, Field field, short version) throws Exception {
        String key = type.getName() + "." + field.getName() + " " + version;
        Allowed known = allowed.get(key);
        if (known == null) {
            allowed.put(key, known = !isWritten(type, field, version) ? Allowed.DEFAULT
                : !field.getType().isPrimitive() && written(type, field, version, null) != null ? Allowed.NULL
                : Allowed.VALUE);
        }
        return known;
    }

    /** Whether a field's value may be set at a version, and is seen in what is then written. */
    private boolean isWritten(Class<?> type, Field field, short version) throws Exception {
        byte[] first = null;
        var random = new Random(1);
        for (int attempt = 0; attempt < 20; attempt++) {
            Object value = value(field, field.getGenericType(), version, random);
            byte[] next = written(type, field, version, value);
            if (next == null) return false;
            if (first != null && !Arrays.equals(first, next)) return true;
            first = next;
        }
        return false;
    }

    /** A message with one field set; null if it cannot be written. */
    private byte[] written(Class<?> type, Field field, short version, Object value) throws Exception {
        Message message = create(type);
        for (Field other : type.getDeclaredFields()) {
            // Null by default even where null may not be written.
            if (isRecords(other)) set(message, other, records(new byte[0]));
        }
        set(message, field, value);
        try {
            return write(message, version);
        } catch (UnsupportedVersionException | NullPointerException e) {
            return null;
        }
    }

    private static boolean isRecords(Field field) {
        return field.getType().getSimpleName().equals("BaseRecords");
    }

    private Object value(Field field, java.lang.reflect.Type type, short version, Random random) throws Exception {
        if (type instanceof ParameterizedType list) {
            return fill(new ArrayList<>(), field, list.getActualTypeArguments()[0], version, random);
        }
        Class<?> simple = (Class<?>) type;
        return switch (simple.getSimpleName()) {
            case "boolean", "Boolean" -> random.nextBoolean();
            case "byte", "Byte" -> (byte) edge(random, Byte.MIN_VALUE, Byte.MAX_VALUE);
            case "short", "Short" -> (short) edge(random, Short.MIN_VALUE, Short.MAX_VALUE);
            case "int", "Integer" -> (int) edge(random, Integer.MIN_VALUE, Integer.MAX_VALUE);
            case "long", "Long" -> edge(random, Long.MIN_VALUE, Long.MAX_VALUE);
            case "double", "Double" -> random.nextGaussian();
            case "String" -> TEXTS[random.nextInt(TEXTS.length)];
            case "Uuid" -> new Uuid(random.nextLong(), random.nextLong());
            case "byte[]" -> bytes(random);
            case "ByteBuffer" -> ByteBuffer.wrap(bytes(random));
            case "BaseRecords" -> records(bytes(random));
            default -> Message.class.isAssignableFrom(simple)
                ? random(simple, version, random)
                : fill(collection(simple), field, elementOf(simple), version, random);
        };
    }

    @SuppressWarnings("unchecked")
    private static Collection<Object> collection(Class<?> type) throws ReflectiveOperationException {
        return (Collection<Object>) type.getConstructor().newInstance();
    }

    /** The element's class of a generated collection, which extends a generic one. */
    private static Class<?> elementOf(Class<?> collection) {
        return (Class<?>) ((ParameterizedType) collection.getGenericSuperclass()).getActualTypeArguments()[0];
    }

    private Object fill(Collection<Object> values, Field field, java.lang.reflect.Type type, short version,
            Random random) throws Exception {
        int count = type == Integer.class && random.nextInt(20) == 0 ? 130 : random.nextInt(4);
        for (int i = 0; i < count; i++) {
            values.add(value(field, type, version, random));
        }
        return values;
    }

    private static long edge(Random random, long low, long high) {
        return switch (random.nextInt(5)) {
            case 0 -> low;
            case 1 -> high;
            case 2 -> random.nextInt(2);
            default -> random.nextLong();
        };
    }

    private static byte[] bytes(Random random) {
        byte[] bytes = new byte[List.of(0, 1, 12, 126, 127, 200).get(random.nextInt(6))];
        random.nextBytes(bytes);
        return bytes;
    }

    /** By name, since the class has moved between packages. */
    private static Object records(byte[] bytes) throws ReflectiveOperationException {
        Class<?> type = Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
        return type.getMethod("readableRecords", ByteBuffer.class).invoke(null, ByteBuffer.wrap(bytes));
    }
}
