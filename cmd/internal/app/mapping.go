package app

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/enrich"
	"holdfast/ingest/gateway"
	"holdfast/ingest/platform"
	"holdfast/schemas"
)

// decodeMapping fills c with one topic for each name of p, all mapped alike.
func decodeMapping(p config.Platform, c *platform.Config) error {
	for _, name := range p.Topics {
		var t platform.Topic
		if p.Mapping.Kind != 0 {
			if err := p.Mapping.Load(&t, yaml.WithKnownFields()); err != nil {
				return fmt.Errorf("mapping: %w", err)
			}
		}
		t.Topic = name
		c.Topics = append(c.Topics, t)
	}
	return c.Validate()
}

// CheckParts checks what only the parts that carry it out understand: policies,
// parameters, channels, mappings, tokens and the files of enrichment.
func CheckParts(cfg *config.Config, places config.Places) []error {
	var errs []error
	wrong := func(key string, err error) { errs = append(errs, places.Mistakes(key, err)...) }
	if _, _, _, err := configured(cfg); err != nil {
		errs = append(errs, flat(err)...) // its lines are the policy file's
	}
	wrong("", enforceConfig(cfg).Validate())
	checkReceivers(cfg, wrong)
	for i, p := range cfg.Intake.Platform {
		wrong(fmt.Sprintf("intake.platform[%d]", i), decodeMapping(p, new(platform.Config)))
	}
	for i, t := range gatewayConfig(cfg).Tokens {
		err := errors.Join(t.Mistakes()...)
		if err == nil {
			one := gateway.Config{Tokens: []gateway.Token{t}}
			err = one.CheckSecrets()
		}
		wrong(fmt.Sprintf("intake.http.tokens[%d]", i), err)
	}
	checkEnrichment(cfg.Enrichment, wrong)
	return errs
}

// checkEnrichment reads each file by itself, so that what is wrong with it is told
// where the configuration names it.
func checkEnrichment(c config.Enrichment, wrong func(key string, err error)) {
	check := func(key string, one enrich.Config) {
		_, err := enrich.New(one, enrich.Deps{})
		wrong("enrichment."+key, err)
	}
	for i, f := range c.HostingFiles {
		check(fmt.Sprintf("hosting_files[%d]", i), enrich.Config{Hosting: []string{f}})
	}
	for i, f := range c.VPNFiles {
		check(fmt.Sprintf("vpn_files[%d]", i), enrich.Config{VPN: []string{f}})
	}
	check("city_file", enrich.Config{City: c.CityFile})
	check("asn_file", enrich.Config{ASN: c.ASNFile})
	_, err := schemas.ParseNAT64(c.NAT64Prefixes)
	wrong("enrichment.nat64_prefixes", err)
}
