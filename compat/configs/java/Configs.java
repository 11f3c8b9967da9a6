// What Apache Kafka's own classes know of configurations: a question a line, an answer a line, in JSON.
//
//   ["keys"]                        every key of every resource, and the broker keys' update modes
//   ["value", RESOURCE, KEY, TEXT]  what ConfigDef says of one value by itself; null: it is valid
//   ["start", {KEY: TEXT}]          what a start with this server.properties says; null: it starts
//   ["originals", {KEY: TEXT}]      the settings with their variables replaced (config.providers)
//   ["load", FILE]                  the keys and values of a properties file, as a start reads them

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.ConfigSynonym;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

public class Configs {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Map<String, ConfigDef.ConfigKey>> KEYS = new LinkedHashMap<>();

    static {
        KEYS.put("BROKER", AbstractKafkaConfig.CONFIG_DEF.configKeys());
        KEYS.put("TOPIC", LogConfig.configKeys());
        KEYS.put("GROUP", GroupConfig.CONFIG_DEF.configKeys());
        KEYS.put("CLIENT_METRICS", ClientMetricsConfigs.configDef().configKeys());
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err); // Kafka's classes may print
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(JSON.writeValueAsString(answer(JSON.readTree(line))));
        }
    }

    private static Object answer(JsonNode question) throws Exception {
        switch (question.get(0).asText()) {
            case "keys":
                return keys();
            case "value":
                return value(question.get(1).asText(), question.get(2).asText(), question.get(3).asText());
            case "start":
                return start(question.get(1));
            case "originals":
                return originals(question.get(1));
            case "load":
                return new TreeMap<Object, Object>(Utils.loadProps(question.get(1).asText()));
            default:
                throw new IllegalArgumentException(question.toString());
        }
    }

    private static ObjectNode keys() {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        ObjectNode all = JSON.createObjectNode();
        KEYS.forEach((resource, keys) -> {
            ObjectNode shown = all.putObject(resource);
            keys.forEach((name, key) -> {
                ObjectNode one = shown.putObject(name);
                one.put("type", key.type.name());
                one.put("required", !key.hasDefault());
                one.put("default", key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null);
                one.put("validator", key.validator == null ? null : key.validator.toString());
                one.put("internal", key.internalConfig);
                if (resource.equals("BROKER")) {
                    one.put("mode", modes.getOrDefault(name, "read-only"));
                }
                JSON.valueToTree(synonyms(resource, name)).forEach(one.withArray("synonyms")::add);
            });
        });
        return all;
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

    private static String value(String resource, String name, String text) {
        ConfigDef.ConfigKey key = KEYS.get(resource).get(name);
        try {
            ConfigDef alone = new ConfigDef();
            alone.define(key);
            alone.parse(Map.of(name, text));
            return null;
        } catch (RuntimeException error) {
            return error.getMessage() == null ? error.toString() : error.getMessage();
        }
    }

    private static Properties properties(JsonNode settings) {
        Properties properties = new Properties();
        settings.fields().forEachRemaining(each -> properties.put(each.getKey(), each.getValue().asText()));
        return properties;
    }

    private static Map<String, Object> originals(JsonNode settings) {
        return new TreeMap<>(kafka.server.KafkaConfig.fromProps(properties(settings), false).originals());
    }

    private static String start(JsonNode settings) {
        try {
            kafka.server.KafkaConfig.fromProps(properties(settings), false);
            return null;
        } catch (RuntimeException error) {
            return error.getMessage() == null ? error.toString() : error.getMessage();
        }
    }
}
