// KafkaJS: records in the codecs it has, and a group that commits, is closed and goes on.
const { CompressionTypes, Kafka, logLevel } = require("kafkajs");

const [bootstrap, topic] = process.argv.slice(2);
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR });

async function produce(codec, count) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const headers = { codec: codec === CompressionTypes.GZIP ? "gzip" : "none" };
  const messages = Array.from({ length: count }, (_, i) => ({ key: `${i}`, value: "value", headers }));
  await producer.send({ topic, acks: -1, compression: codec, messages });
  await producer.disconnect();
}

async function read(count) {
  const consumer = kafka.consumer({ groupId: topic });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const found = {};
  let left = count;
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      eachMessage: async ({ message }) => {
        const codec = message.headers.codec.toString();
        found[codec] = (found[codec] || 0) + 1;
        left -= 1;
        if (left === 0) resolve();
      },
    });
  });
  await consumer.disconnect(); // which commits
  return found;
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 2, replicationFactor: 1 }] });
  await admin.disconnect();
  await produce(CompressionTypes.None, 10);
  await produce(CompressionTypes.GZIP, 10);
  const first = await read(20);
  await produce(CompressionTypes.GZIP, 10);
  const second = await read(10);
  console.log(JSON.stringify({ first, second }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
