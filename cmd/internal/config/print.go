package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Masked stands where a secret is set.
const Masked = "(set, not shown)"

// Print returns the whole configuration as YAML, defaults included and secrets
// masked.
func (c *Config) Print() ([]byte, error) {
	out, err := yaml.Marshal(node(reflect.ValueOf(c).Elem(), ""))
	if err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out, nil
}

// Values returns the whole configuration as nested maps, for JSON.
func (c *Config) Values() (any, error) {
	var out any
	if err := node(reflect.ValueOf(c).Elem(), "").Decode(&out); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return out, nil
}

// node writes a value in the shape in which it is read.
func node(v reflect.Value, tag reflect.StructTag) *yaml.Node {
	if tag.Get("secret") != "" && v.Kind() == reflect.String && v.String() != "" {
		return text(Masked)
	}
	switch x := v.Interface().(type) {
	case yaml.Node:
		if x.Kind == 0 {
			return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
		}
		return &x
	case time.Duration:
		return text(FormatDuration(x))
	case Limit:
		return text(x.String())
	}
	switch v.Kind() {
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			n.Content = append(n.Content, text(name), node(v.Field(i), f.Tag))
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if v.Len() == 0 || v.Type().Elem().Kind() == reflect.String {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, node(v.Index(i), tag))
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		keys := map[string]reflect.Value{}
		for _, k := range v.MapKeys() {
			keys[k.String()] = v.MapIndex(k)
		}
		for _, k := range sortedKeys(keys) {
			n.Content = append(n.Content, text(k), node(keys[k], tag))
		}
		if len(keys) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.String:
		return text(v.String())
	}
	n := &yaml.Node{}
	_ = n.Encode(v.Interface()) // a number or a bool
	return n
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	n.Tag = "!!str"
	return n
}
