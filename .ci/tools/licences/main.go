// Command licences reads a CycloneDX SBOM from standard input, prints the licence of each
// module on a line, and fails where one is unknown or not allowed.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// allowed are the licences that a module of an Apache-2.0 program may have.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "0BSD", "Unlicense", "Zlib"}

// known are modules whose licence file is not recognised, read by hand.
var known = map[string]string{
	"github.com/cenkalti/backoff/v7": "MIT",
	"github.com/dchest/siphash":      "CC0-1.0", // in its README
	"github.com/paulmach/orb":        "MIT",
	"go.etcd.io/bbolt":               "MIT",
}

func main() {
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(os.Stdin, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		fmt.Fprintln(os.Stderr, "licences: the SBOM cannot be read:", err)
		os.Exit(2)
	}
	if bom.Components == nil || len(*bom.Components) == 0 {
		fmt.Fprintln(os.Stderr, "licences: the SBOM lists no module")
		os.Exit(2)
	}
	var wrong []string
	for _, c := range *bom.Components {
		ids := licencesOf(c)
		fmt.Printf("%-55s %-45s %s\n", c.Name, c.Version, strings.Join(ids, ", "))
		if len(ids) == 0 || !slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(allowed, id) }) {
			wrong = append(wrong, fmt.Sprintf("%s: %v", c.Name, ids))
		}
	}
	if len(wrong) > 0 {
		fmt.Fprintf(os.Stderr, "licences: not among %s:\n  %s\n", strings.Join(allowed, ", "), strings.Join(wrong, "\n  "))
		os.Exit(1)
	}
}

func licencesOf(c cyclonedx.Component) []string {
	var ids []string
	add := func(all *cyclonedx.Licenses) {
		if all == nil {
			return
		}
		for _, l := range *all {
			if l.License != nil && l.License.ID != "" && !slices.Contains(ids, l.License.ID) {
				ids = append(ids, l.License.ID)
			}
		}
	}
	add(c.Licenses)
	if c.Evidence != nil {
		add(c.Evidence.Licenses)
	}
	if id, ok := known[c.Name]; ok && len(ids) == 0 {
		ids = []string{id}
	}
	return ids
}
