package enrich

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/schemas"
)

// Kind is what a file knows.
type Kind string

// The kinds of file.
const (
	KindHosting Kind = "hosting"
	KindVPN     Kind = "vpn"
	KindCity    Kind = "city"
	KindASN     Kind = "asn"
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{KindHosting, KindVPN, KindCity, KindASN} }

// lack says what is missed without a kind of file.
var lack = map[Kind]string{
	KindHosting: "addresses of data centres are not told apart",
	KindVPN:     "addresses that hide where their user is are not told apart",
	KindCity:    "new countries and impossible travel are not noticed",
	KindASN:     "new networks are not noticed",
}

// Config names the files. A kind without a file is not looked up.
type Config struct {
	Hosting     []string      // lists of ranges; see parseRanges
	VPN         []string      // likewise
	City        string        // an MMDB file of cities, or of countries alone
	ASN         string        // an MMDB file of autonomous systems
	ReloadEvery time.Duration // how often the files are looked at; default 30 s
	NAT64       schemas.NAT64 // prefixes of the operator's own gateways
}

// Deps are the surroundings. All may be nil.
type Deps struct {
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}
