package intake

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Source is who brings records: a credential, a topic or an import.
type Source struct {
	Name   string              // from the configuration, never from a sender
	Types  []schemas.EventType // those it may send; none listed means all
	Origin schemas.Origin

	limits  Limits // see Bind
	limiter *rate.Limiter
}

// Checked is a record that may be written, and what it is.
type Checked struct {
	kafka.Record
	ID       string
	Type     schemas.EventType
	Happened int64 // the event's time, Unix milliseconds
}

// Networks tells what is known of an address, as *enrich.Enricher does. It is asked once
// for each event that is accepted and names an address, by several goroutines.
type Networks interface {
	Of(a netip.Addr) schemas.Network
}

// Checker decides about one record at a time and keeps its buffers between
// calls. Its zero value is ready and knows no networks; it is not safe for use by
// several goroutines.
type Checker struct {
	Networks Networks // may be nil
	Metrics  *Metrics // may be nil: shows how old each source's newest event is

	dec    schemas.Decoder
	event  schemas.Event
	source *Source       // that newest is of
	newest *atomic.Int64 // nil without metrics
}

// Check returns the record to write for data, or why it is refused. The record's
// value is data itself, which must not change until the write is acknowledged.
func (c *Checker) Check(data []byte, src *Source, arrival time.Time) (Checked, *schemas.Error) {
	e := &c.event
	if err := c.dec.Decode(data, e); err != nil {
		return Checked{}, err
	}
	at := arrival.UnixMilli()
	if ahead := e.Time - at; ahead > schemas.FutureTolerance.Milliseconds() {
		return Checked{}, &schemas.Error{Reason: schemas.ReasonFuture, Record: strings.Clone(e.ID), Field: "time",
			What: fmt.Sprintf("lies %s after its arrival", time.Duration(ahead)*time.Millisecond),
			Fix:  fmt.Sprintf("set the sender's clock: at most %s are allowed", schemas.FutureTolerance)}
	}
	if len(src.Types) > 0 && !slices.Contains(src.Types, e.Type) {
		return Checked{}, &schemas.Error{Reason: schemas.ReasonNotAllowed, Record: strings.Clone(e.ID), Field: "type",
			What: fmt.Sprintf("source %s may not send %s", src.Name, e.Type),
			Fix:  "use a source that may, or list the type in the configuration"}
	}
	if err := src.allowed(e); err != nil {
		return Checked{}, err
	}
	var network schemas.Network
	if c.Networks != nil && e.IP.IsValid() {
		network = c.Networks.Of(e.IP)
		e.Translate(&network)
	}
	if c.Metrics != nil {
		if c.source != src {
			c.source, c.newest = src, c.Metrics.ages.of(src.Name)
		}
		raise(c.newest, e.Time)
	}
	return envelope(data, src, e, at, network), nil
}

// envelope adds key and headers in one allocation each.
func envelope(data []byte, src *Source, e *schemas.Event, at int64, network schemas.Network) Checked {
	var room [schemas.MaxNetwork]byte
	net := schemas.AppendNetwork(room[:0], network)
	entity := e.Entity()
	kind, key := string(entity.Kind), len(entity.Kind)+1+len(entity.ID)
	buf := make([]byte, 0, key+len(e.ID)+len(src.Name)+len(src.Origin)+len(schemas.KindEvent)+len(schemas.TrustEvidence)+len(net))
	buf = append(append(append(buf, kind...), ':'), entity.ID...)
	headers := make([]kafka.Header, 0, 6)
	add := func(name, value string) {
		from := len(buf)
		buf = append(buf, value...)
		headers = append(headers, kafka.Header{Key: name, Value: buf[from:len(buf):len(buf)]})
	}
	add(schemas.HeaderKind, string(schemas.KindEvent))
	add(schemas.HeaderID, e.ID)
	add(schemas.HeaderSource, src.Name)
	add(schemas.HeaderOrigin, string(src.Origin))
	if trust := src.Trust(); trust != schemas.TrustFull {
		add(schemas.HeaderTrust, string(trust))
	}
	if len(net) > 0 {
		from := len(buf)
		buf = append(buf, net...)
		headers = append(headers, kafka.Header{Key: schemas.HeaderNetwork, Value: buf[from:len(buf):len(buf)]})
	}
	return Checked{
		Record: kafka.Record{Time: at, Key: buf[:key:key], Value: data, Headers: headers},
		ID:     e.ID, Type: e.Type, Happened: e.Time,
	}
}
