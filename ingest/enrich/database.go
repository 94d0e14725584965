package enrich

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"holdfast/schemas"
)

// cacheSize is how many records of a database are kept decoded, one for each place:
// 2 MB at most. Events come from few of a database's records.
const (
	cacheBits = 13
	cacheSize = 1 << cacheBits
)

// database is an MMDB file in memory.
type database struct {
	reader *maxminddb.Reader
	decode func(maxminddb.Result) (schemas.Network, error)
	cache  [cacheSize]atomic.Pointer[decoded]
}

// decoded is one record of the file, by where in it that stands.
type decoded struct {
	offset  uintptr
	network schemas.Network
}

// openCity opens a database of cities or of countries alone.
func openCity(path string, data []byte) (*database, int, error) {
	return open(path, data, "country.iso_code", decodeCity)
}

// openASN opens a database of autonomous systems.
func openASN(path string, data []byte) (*database, int, error) {
	return open(path, data, "autonomous_system_number", decodeASN)
}

// proof is how many networks of a database are looked at before it is believed to be
// one of its kind: files of other makers have types of other names.
const proof = 100_000

func open(path string, data []byte, field string, decode func(maxminddb.Result) (schemas.Network, error)) (*database, int, error) {
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: is no MMDB file, or not all of one: %w", path, err)
	}
	seen, known := 0, false
	// Empty networks are walked over too: a damaged tree may have more of them than
	// anybody can wait for.
	for found := range r.Networks(maxminddb.IncludeNetworksWithoutData()) {
		var n schemas.Network
		err := found.Err()
		if err == nil && found.Found() {
			n, err = decode(found)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: the record of %v cannot be read, the file is damaged or of another kind (its type is %q): %w", path, found.Prefix(), r.Metadata.DatabaseType, err)
		}
		known = known || n.Known()
		if seen++; seen == proof {
			break
		}
	}
	if !known {
		return nil, 0, fmt.Errorf("%s: has no %s (its type is %q): name a database that has", path, field, r.Metadata.DatabaseType)
	}
	return &database{reader: r, decode: decode}, int(r.Metadata.NodeCount), nil
}

// lookUp is the zero Network where the address is not in the database, or its record
// cannot be read.
func (d *database) lookUp(a netip.Addr) schemas.Network {
	found := d.reader.Lookup(a)
	if !found.Found() {
		return schemas.Network{}
	}
	at := found.Offset()
	place := &d.cache[(uint64(at)*0x9E3779B97F4A7C15)>>(64-cacheBits)]
	if p := place.Load(); p != nil && p.offset == at {
		return p.network
	}
	n, err := d.decode(found)
	if err != nil {
		n = schemas.Network{}
	}
	place.Store(&decoded{offset: at, network: n})
	return n
}

// cityRecord is the part of a record that is used. Where an address is used counts; the
// country in which its owner registered it is only a substitute.
type cityRecord struct {
	Country    country `maxminddb:"country"`
	Registered country `maxminddb:"registered_country"`
	City       struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
}

type country struct {
	Code string `maxminddb:"iso_code"`
}

func decodeCity(found maxminddb.Result) (schemas.Network, error) {
	var r cityRecord
	if err := found.Decode(&r); err != nil {
		return schemas.Network{}, err
	}
	n := schemas.Network{Country: r.Country.Code, City: schemas.ClipCity(r.City.Names.English)}
	if n.Country == "" {
		n.Country = r.Registered.Code
	}
	lat, lon := r.Location.Latitude, r.Location.Longitude
	if lat != nil && lon != nil && math.Abs(*lat) <= 90 && math.Abs(*lon) <= 180 {
		n.Located, n.Lat, n.Lon = true, *lat, *lon
	}
	return canonical(n), nil
}

func decodeASN(found maxminddb.Result) (schemas.Network, error) {
	var r struct {
		Number uint32 `maxminddb:"autonomous_system_number"`
	}
	err := found.Decode(&r)
	return schemas.Network{ASN: r.Number}, err
}

// canonical is what is left of n after a way through a record's header, so that whoever
// asks here sees what a lane sees.
func canonical(n schemas.Network) schemas.Network {
	n, _ = schemas.ParseNetwork(string(schemas.AppendNetwork(nil, n)))
	return n
}
