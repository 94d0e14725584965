package enrich

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"
	"github.com/go-json-experiment/json"
)

// ranges is a set of networks and of autonomous systems.
type ranges struct {
	table   bart.Lite
	systems map[uint32]bool
}

func (r *ranges) has(a netip.Addr, asn uint32) bool {
	return r.table.Contains(a) || asn != 0 && r.systems[asn]
}

func (r *ranges) len() int { return r.table.Size() + len(r.systems) }

// The shortest prefixes that a list may hold: registries are given no more at once
// (IANA's registries of IPv4 address space and of IPv6 unicast assignments). A shorter
// one is a mistake that would have everybody stand in a data centre.
const (
	widest4 = 8
	widest6 = 12
)

// parseRanges reads a list in one of the forms in common use:
//
//   - lines of a network (192.0.2.0/24, 2001:db8::/32), an address or an autonomous
//     system (AS64496), with comments from # or ; to the line's end
//   - CSV with such a column, found by its heading or by what stands in it
//   - JSON as cloud providers publish it: {"prefixes": [{"ip_prefix": …}, {"ipv4Prefix": …}]}
//
// It refuses the whole list for one line that it cannot read, and a list of nothing:
// either is what a failed download looks like.
func parseRanges(path string, data []byte) (*ranges, int, error) {
	r := &ranges{systems: map[uint32]bool{}}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	var err error
	switch head := firstLine(data); {
	case strings.HasPrefix(head, "{"):
		err = r.fromJSON(path, data)
	case strings.Contains(head, ","):
		err = r.fromCSV(path, data)
	default:
		err = r.fromLines(path, data)
	}
	if err != nil {
		return nil, 0, err
	}
	if r.len() == 0 {
		return nil, 0, fmt.Errorf("%s: names no network: put one in, or leave the file out of the configuration", path)
	}
	return r, r.len(), nil
}

// firstLine is the first line that says something.
func firstLine(data []byte) string {
	for line := range bytes.Lines(data) {
		if s := uncommented(string(line[:min(len(line), 4096)])); s != "" {
			return s
		}
	}
	return ""
}

func uncommented(line string) string {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

func (r *ranges) fromLines(path string, data []byte) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if s := uncommented(string(line)); s != "" {
			if err := r.add(s); err != nil {
				return fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
	}
	return nil
}

// headings are what a CSV's column of networks is called.
var headings = []string{"cidr", "network", "prefix", "ip_prefix", "ip prefix", "subnet", "range", "ip_range", "ip", "ip_address", "address", "asn", "as"}

func (r *ranges) fromCSV(path string, data []byte) error {
	c := csv.NewReader(bytes.NewReader(data))
	c.Comment, c.FieldsPerRecord, c.TrimLeadingSpace, c.ReuseRecord = '#', -1, true, true
	column := -1
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		line, _ := c.FieldPos(0)
		if column < 0 {
			var heading bool
			if column, heading = columnOf(rec); column < 0 {
				return fmt.Errorf("%s:%d: no column holds networks: call it cidr, or put one network on each line", path, line)
			}
			if heading {
				continue
			}
		}
		if column >= len(rec) {
			return fmt.Errorf("%s:%d: has %d columns, the networks stand in column %d", path, line, len(rec), column+1)
		}
		if err := r.add(strings.TrimSpace(rec[column])); err != nil {
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
}

// columnOf finds the column of networks in the first record, which is a heading or not.
func columnOf(rec []string) (column int, heading bool) {
	for i, s := range rec {
		if new(ranges).add(strings.TrimSpace(s)) == nil && strings.ContainsAny(s, ".:") {
			return i, false
		}
	}
	for _, h := range headings {
		if i := slices.IndexFunc(rec, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), h) }); i >= 0 {
			return i, true
		}
	}
	return -1, false
}

// published is what cloud providers publish; each uses some of the names.
type published struct {
	Prefixes     []publishedPrefix `json:"prefixes"`
	IPv6Prefixes []publishedPrefix `json:"ipv6_prefixes"`
}

type publishedPrefix struct {
	IP      string `json:"ip_prefix"`
	IPv6    string `json:"ipv6_prefix"`
	Google4 string `json:"ipv4Prefix"`
	Google6 string `json:"ipv6Prefix"`
}

func (r *ranges) fromJSON(path string, data []byte) error {
	var p published
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i, x := range slices.Concat(p.Prefixes, p.IPv6Prefixes) {
		found := false
		for _, s := range []string{x.IP, x.IPv6, x.Google4, x.Google6} {
			if s == "" {
				continue
			}
			found = true
			if err := r.add(s); err != nil {
				return fmt.Errorf("%s: prefix %d: %w", path, i+1, err)
			}
		}
		if !found {
			return fmt.Errorf("%s: prefix %d has none of ip_prefix, ipv6_prefix, ipv4Prefix and ipv6Prefix", path, i+1)
		}
	}
	return nil
}

// add takes a network, an address or an autonomous system in.
func (r *ranges) add(s string) error {
	if number, ok := cutAS(s); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n == 0 {
			return fmt.Errorf("%.60q is no autonomous system: write it as AS64496", s)
		}
		if r.systems == nil {
			r.systems = map[uint32]bool{}
		}
		r.systems[uint32(n)] = true
		return nil
	}
	p, err := parsePrefix(s)
	if err != nil {
		return err
	}
	if widest := widest(p); p.Bits() < widest {
		return fmt.Errorf("%s is wider than /%d, more than anybody holds: remove it", p, widest)
	}
	r.table.Insert(p)
	return nil
}

func cutAS(s string) (number string, ok bool) {
	if len(s) > 2 && (s[0]|0x20) == 'a' && (s[1]|0x20) == 's' && s[2] >= '0' && s[2] <= '9' {
		return s[2:], true
	}
	return "", false
}

func widest(p netip.Prefix) int {
	if p.Addr().Is4() {
		return widest4
	}
	return widest6
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%.60q is no network: write 192.0.2.0/24, 2001:db8::/32, an address or AS64496", s)
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
