package kafka

import (
	"fmt"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Mechanism makes the SASL mechanism with the given name: PLAIN, SCRAM-SHA-256
// or SCRAM-SHA-512. An empty name gives none.
func Mechanism(name, user, password string) (sasl.Mechanism, error) {
	var m sasl.Mechanism
	var err error
	switch strings.ToUpper(name) {
	case "":
		return nil, nil
	case "PLAIN":
		m = plain.Mechanism{Username: user, Password: password}
	case "SCRAM-SHA-256":
		m, err = scram.Mechanism(scram.SHA256, user, password)
	case "SCRAM-SHA-512":
		m, err = scram.Mechanism(scram.SHA512, user, password)
	default:
		return nil, fmt.Errorf("kafka: SASL mechanism %q is not known: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", name)
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: SASL mechanism %s: the user name or password has characters that SCRAM cannot carry: %w", name, err)
	}
	return m, nil
}
