// kafka-go: records in every codec, and a group that commits, is closed and goes on.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func produce(ctx context.Context, bootstrap, topic string, codec kafka.Compression, count int) {
	writer := &kafka.Writer{
		Addr: kafka.TCP(bootstrap), Topic: topic, RequiredAcks: kafka.RequireAll,
		Compression: codec, BatchTimeout: 10 * time.Millisecond, Balancer: &kafka.RoundRobin{},
	}
	messages := make([]kafka.Message, count)
	for i := range messages {
		messages[i] = kafka.Message{
			Key: []byte(fmt.Sprint(i)), Value: []byte("value"),
			Headers: []kafka.Header{{Key: "codec", Value: []byte(codec.String())}},
		}
	}
	must(writer.WriteMessages(ctx, messages...))
	must(writer.Close())
}

func read(ctx context.Context, bootstrap, topic, group string, count int) map[string]int {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{bootstrap}, GroupID: group, Topic: topic, MaxWait: 200 * time.Millisecond,
		StartOffset: kafka.FirstOffset,
	})
	found := map[string]int{}
	for range count {
		message, err := reader.FetchMessage(ctx)
		must(err)
		found[string(message.Headers[0].Value)]++
		must(reader.CommitMessages(ctx, message))
	}
	must(reader.Close())
	return found
}

func main() {
	bootstrap, topic := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	client := &kafka.Client{Addr: kafka.TCP(bootstrap)}
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}},
	})
	must(err)
	must(created.Errors[topic])
	time.Sleep(time.Second) // it does not try again where a topic has no leader yet
	codecs := []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd}
	for _, codec := range codecs {
		produce(ctx, bootstrap, topic, codec, 10)
	}
	first := read(ctx, bootstrap, topic, topic, 50)
	produce(ctx, bootstrap, topic, kafka.Gzip, 10)
	second := read(ctx, bootstrap, topic, topic, 10)
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{"first": first, "second": second}))
}
