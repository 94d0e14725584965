package app

import (
	"fmt"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/platform"
)

// decodeMapping fills c with one topic for each name of p, all mapped alike.
func decodeMapping(p config.Platform, c *platform.Config) error {
	for _, name := range p.Topics {
		var t platform.Topic
		if p.Mapping.Kind != 0 {
			if err := p.Mapping.Decode(&t); err != nil {
				return fmt.Errorf("intake.platform %s: mapping: %w", p.Name, err)
			}
		}
		t.Topic = name
		c.Topics = append(c.Topics, t)
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("intake.platform %s: %w", p.Name, err)
	}
	return nil
}

// CheckParts checks what only the parts that carry it out understand: policies,
// parameters, channels, mappings, tokens and the files of enrichment.
func CheckParts(cfg *config.Config) []error {
	var errs []error
	if _, _, _, err := configured(cfg); err != nil {
		errs = append(errs, err)
	}
	if err := enforceConfig(cfg).Validate(); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := receivers(cfg); err != nil {
		errs = append(errs, err)
	}
	for _, p := range cfg.Intake.Platform {
		if err := decodeMapping(p, new(platform.Config)); err != nil {
			errs = append(errs, err)
		}
	}
	tokens := gatewayConfig(cfg)
	if err := tokens.CheckSecrets(); err != nil {
		errs = append(errs, fmt.Errorf("intake.http: %w", err))
	}
	if _, err := OpenEnrichment(cfg, nil, nil); err != nil {
		errs = append(errs, err)
	}
	return errs
}
