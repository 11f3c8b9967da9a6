// What a release of Apache Kafka says of itself, from its own classes, as one JSON object on standard output.

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ApiVersionsRequestData;
import org.apache.kafka.common.message.DescribeLogDirsRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.common.Feature;
import org.apache.kafka.server.common.FeatureVersion;
import org.apache.kafka.server.common.KRaftVersion;
import org.apache.kafka.server.common.MetadataVersion;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.ConfigSynonym;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class Facts {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // Kafka's classes may print
        ObjectNode facts = JSON.createObjectNode();
        apis(facts.putObject("apis"));
        errors(facts.putArray("errors"));
        metadataVersions(facts.putArray("metadata_versions"));
        facts.put("latest_production", MetadataVersion.latestProduction().featureLevel());
        features(facts.putObject("features"));
        ObjectNode keys = facts.putObject("keys");
        keys(keys.putObject("BROKER"), "BROKER", AbstractKafkaConfig.CONFIG_DEF);
        keys(keys.putObject("TOPIC"), "TOPIC", LogConfig.configDefCopy());
        keys(keys.putObject("GROUP"), "GROUP", GroupConfig.CONFIG_DEF);
        keys(keys.putObject("CLIENT_METRICS"), "CLIENT_METRICS", ClientMetricsConfigs.configDef());
        facts.set("elements_max", JSON.valueToTree(limit(1 << 20, Facts::takesElements)));
        facts.set("tagged_fields_max", JSON.valueToTree(limit(1 << 17, Facts::takesTaggedFields)));
        out.println(JSON.writeValueAsString(facts));
    }

    private static void apis(ObjectNode apis) {
        for (ApiKeys api : ApiKeys.values()) {
            ObjectNode one = apis.putObject(String.valueOf(api.id));
            one.put("name", api.name);
            one.put("oldest", api.oldestVersion());
            one.put("latest", api.latestVersion(false));
            one.put("unstable", api.latestVersion(true));
            ArrayNode listeners = one.putArray("listeners");
            api.messageType.listeners().stream().map(ApiMessageType.ListenerType::name).sorted().forEach(listeners::add);
        }
    }

    private static void errors(ArrayNode errors) {
        for (Errors error : Errors.values()) {
            ArrayNode one = errors.addArray();
            one.add(error.code());
            one.add(error.name());
            one.add(error.exception() instanceof RetriableException);
            one.add(error.message());
        }
    }

    private static void metadataVersions(ArrayNode versions) {
        for (MetadataVersion version : MetadataVersion.VERSIONS) {
            ArrayNode one = versions.addArray();
            one.add(version.featureLevel());
            one.add(version.version());
            one.add(version.didMetadataChange());
        }
    }

    // Per feature: its highest production level, and per metadata.version the level that a cluster of it gets.
    private static void features(ObjectNode features) {
        for (Feature feature : Feature.PRODUCTION_FEATURES) {
            ObjectNode one = features.putObject(feature.featureName());
            one.put("latest_production", feature.latestProduction());
            ObjectNode needs = one.putObject("dependencies");
            for (FeatureVersion level : feature.featureVersions()) {
                needs.set(String.valueOf(level.featureLevel()), JSON.valueToTree(level.dependencies()));
            }
            ArrayNode defaults = one.putArray("defaults");
            for (MetadataVersion version : MetadataVersion.VERSIONS) {
                defaults.add(feature.defaultLevel(version));
            }
        }
        ObjectNode kraft = features.putObject(KRaftVersion.FEATURE_NAME);
        kraft.put("latest_production", KRaftVersion.LATEST_PRODUCTION.featureLevel());
        ArrayNode defaults = kraft.putArray("defaults"); // of a cluster whose voters may change
        for (MetadataVersion version : MetadataVersion.VERSIONS) {
            int level = 0;
            for (KRaftVersion each : KRaftVersion.values()) {
                boolean isLater = each.featureLevel() > 0 && version.isLessThan(each.bootstrapMetadataVersion());
                level = isLater ? level : each.featureLevel();
            }
            defaults.add(level);
        }
    }

    private static void keys(ObjectNode shown, String resource, ConfigDef definition) {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        definition.configKeys().forEach((name, key) -> {
            ObjectNode one = shown.putObject(name);
            one.put("type", key.type.name());
            one.put("required", !key.hasDefault());
            one.put("default", key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null);
            one.put("validator", key.validator == null ? null : key.validator.toString());
            one.put("internal", key.internalConfig);
            one.put("mode", resource.equals("BROKER") ? modes.getOrDefault(name, "read-only") : null);
            JSON.valueToTree(synonyms(resource, name)).forEach(one.withArray("synonyms")::add);
        });
    }

    private static List<String> synonyms(String resource, String name) {
        switch (resource) {
            case "BROKER":
                return DynamicBrokerConfig.brokerConfigSynonyms(name, false);
            case "TOPIC":
                return ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS
                    .getOrDefault(name, List.of()).stream().map(ConfigSynonym::name).toList();
            case "GROUP":
                return GroupConfig.brokerSynonym(name).stream().toList();
            default:
                return List.of();
        }
    }

    // The largest count that is taken; null where `beyond` is.
    private static Integer limit(int beyond, IntPredicate takes) {
        if (takes.test(beyond)) {
            return null;
        }
        int good = 0;
        for (int bad = beyond; bad - good > 1; ) {
            int middle = good + (bad - good) / 2;
            if (takes.test(middle)) {
                good = middle;
            } else {
                bad = middle;
            }
        }
        return good;
    }

    private static boolean takesElements(int count) {
        ByteBuffer bytes = ByteBuffer.allocate(4 + 3 + 4 + 4 * count);
        bytes.putInt(1).putShort((short) 1).put((byte) 't').putInt(count).position(0);
        try {
            new DescribeLogDirsRequestData(new ByteBufferAccessor(bytes), (short) 1);
            return true;
        } catch (RuntimeException error) {
            return false;
        }
    }

    private static boolean takesTaggedFields(int count) {
        ByteBuffer bytes = ByteBuffer.allocate(7 + 5 + 4 * count);
        bytes.put((byte) 2).put((byte) 'n').put((byte) 2).put((byte) 'v');
        varint(bytes, count);
        for (int tag = 0; tag < count; tag++) {
            varint(bytes, tag);
            bytes.put((byte) 0);
        }
        bytes.flip();
        try {
            new ApiVersionsRequestData(new ByteBufferAccessor(bytes), (short) 3);
            return true;
        } catch (RuntimeException error) {
            return false;
        }
    }

    private static void varint(ByteBuffer bytes, int value) {
        int rest = value;
        for (; rest > 0x7f; rest >>>= 7) {
            bytes.put((byte) (rest & 0x7f | 0x80));
        }
        bytes.put((byte) rest);
    }
}
