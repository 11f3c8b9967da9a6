// Sarama: idempotent records in every codec, and a group that commits, is closed and goes on.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Metadata.Retry.Max = 30
	return config
}

func produce(bootstrap, topic string, codec sarama.CompressionCodec, count int) {
	settings := config()
	settings.Producer.Compression = codec
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, settings)
	must(err)
	messages := make([]*sarama.ProducerMessage, count)
	for i := range messages {
		messages[i] = &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(i)), Value: sarama.StringEncoder("value"),
			Headers: []sarama.RecordHeader{{Key: []byte("codec"), Value: []byte(codec.String())}},
		}
	}
	must(producer.SendMessages(messages))
	must(producer.Close())
}

// reading counts records by their codec and ends the session after `left` of them.
type reading struct {
	lock   sync.Mutex
	found  map[string]int
	left   int
	finish context.CancelFunc
}

func (*reading) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*reading) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (r *reading) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for message := range c.Messages() {
		r.lock.Lock()
		r.found[string(message.Headers[0].Value)]++
		r.left--
		s.MarkMessage(message, "")
		if r.left == 0 {
			s.Commit()
			r.finish()
		}
		r.lock.Unlock()
	}
	return nil
}

func read(bootstrap, topic, group string, count int) map[string]int {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	members, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config())
	must(err)
	handler := &reading{found: map[string]int{}, left: count, finish: cancel}
	for ctx.Err() == nil {
		must(members.Consume(ctx, []string{topic}, handler))
	}
	must(members.Close())
	return handler.found
}

func main() {
	bootstrap, topic := os.Args[1], os.Args[2]
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config())
	must(err)
	must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	must(admin.Close())
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy,
		sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range codecs {
		produce(bootstrap, topic, codec, 10)
	}
	first := read(bootstrap, topic, topic, 50)
	produce(bootstrap, topic, sarama.CompressionGZIP, 10)
	second := read(bootstrap, topic, topic, 10)
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{"first": first, "second": second}))
}
