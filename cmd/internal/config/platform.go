package config

import "go.yaml.in/yaml/v4"

// Platform is one of the platform's own topics. Mapping is read by the part that
// carries it out; its mistakes carry the file's lines too.
type Platform struct {
	Name    string    `yaml:"name"`    // becomes the consumer group
	Topics  []string  `yaml:"topics"`  // topics of the platform, all mapped alike
	Mapping yaml.Node `yaml:"mapping"` // how records become events: see operating.md
}
