package kafka

import (
	"fmt"
	"io"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// routed is a request to one broker of our choosing. The transport carries it
// over a pooled, authenticated connection but leaves the exchange to us, which
// spares the splitting (a connection each partition) and the slow decoding of
// its own messages.
type routed struct {
	req      protocol.Message
	broker   int32
	clientID string
	version  int16
	// read takes the answer off the wire; nil: as kafka-go decodes it.
	read func(r io.Reader, version int16) (protocol.Message, error)
}

// correlation is the same for all: a connection has one request in flight.
const correlation = 1

// ApiKey names the request, in the spelling that kafka-go asks for.
//
//nolint:revive
func (r *routed) ApiKey() protocol.ApiKey { return r.req.ApiKey() }

// Broker picks the broker among those that the transport knows.
func (r *routed) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	b, ok := cluster.Brokers[r.broker]
	if !ok {
		return b, fmt.Errorf("kafka: broker %d is not in the cluster's layout: %w", r.broker, kafkago.BrokerNotAvailable)
	}
	return b, nil
}

// Required learns the version that the connection agreed on.
func (r *routed) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[r.req.ApiKey()]
	return true
}

// RawExchange sends the request and reads its answer.
func (r *routed) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if err := protocol.WriteRequest(rw, r.version, correlation, r.clientID, r.req); err != nil {
		return nil, err
	}
	if r.read != nil {
		return r.read(rw, r.version)
	}
	id, res, err := protocol.ReadResponse(rw, r.req.ApiKey(), r.version)
	if err == nil && id != correlation {
		err = fmt.Errorf("kafka: broker %d answered request %d instead of %d", r.broker, id, correlation)
	}
	return res, err
}

var (
	_ protocol.BrokerMessage = (*routed)(nil)
	_ protocol.RawExchanger  = (*routed)(nil)
)
