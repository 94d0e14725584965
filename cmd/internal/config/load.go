package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile is the largest configuration file, in bytes.
const maxFile = 4 << 20

// Load reads the file at path (none where empty), then the environment, over the
// defaults. The error joins every mistake, each a *Mistake; the configuration is
// complete even then, with the default where a value cannot be used, so that what
// else is wrong can be found at once. environ is as from os.Environ.
func Load(path string, environ []string) (Config, error) {
	c, _, err := LoadPlaces(path, environ)
	return c, err
}

// LoadPlaces is Load, and tells where in the file things stand.
func LoadPlaces(path string, environ []string) (Config, Places, error) {
	c := Default()
	c.Kafka.Replication = unset
	r := &reader{where: path, lines: map[string]int{}}
	if path != "" {
		data, err := os.ReadFile(path)
		switch {
		case err != nil:
			return c, Places{}, fmt.Errorf("configuration: %w: name another with --config", err)
		case len(data) > maxFile:
			return c, Places{}, fmt.Errorf("configuration %s: %d bytes are more than %d: it is not a configuration", path, len(data), maxFile)
		}
		r.document(data, &c)
	}
	file, lines := r.mistakes, r.lines
	e := &reader{lines: map[string]int{}}
	e.environment(environ, &c)
	v := &reader{where: path, lines: lines, wrong: map[string]bool{}}
	for _, m := range append(slices.Clone(file), e.mistakes...) {
		if x := (*Mistake)(nil); errors.As(m, &x) {
			v.wrong[x.Key] = true
		}
	}
	v.emptied(&c)
	c.complete()
	v.whole(&c)
	return c, Places{path, lines}, errors.Join(slices.Concat(file, e.mistakes, v.mistakes)...)
}

// unset stands for a number that nobody wrote, where 0 would be a mistake.
const unset = math.MinInt

// emptied reports what was set to nothing, which complete would take for left out.
func (r *reader) emptied(c *Config) {
	if c.DataDir == "" {
		r.at("data_dir", "is empty", "name a folder, or leave it out for "+Default().DataDir)
		c.DataDir = Default().DataDir
	}
	switch c.Kafka.Replication {
	case 0:
		r.at("kafka.replication", "0 copies keep nothing", "write 1 to 15, or leave it out: 3, and 1 with the embedded broker")
	case unset:
	default:
		return
	}
	c.Kafka.Replication = 0
}

func (r *reader) document(data []byte, c *Config) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return // an empty file sets nothing
	}
	if err != nil {
		r.bad(0, "", "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "correct the line that it names")
		return
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) == 0 {
			return
		}
		root = doc.Content[0]
	}
	if root.Tag == "!!null" {
		return
	}
	r.mapping(root, reflect.ValueOf(c).Elem(), "")
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		r.bad(more.Line, "", "a second document begins", "keep one document in the file")
	}
}

// EnvPrefix begins every environment variable that overrides a value.
const EnvPrefix = "HOLDFAST_"

// environment sets what HOLDFAST_SECTION_KEY variables say. Lists of text are
// divided at commas; lists of other things can only stand in the file.
func (r *reader) environment(environ []string, c *Config) {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, EnvPrefix) {
			vars[name] = value
		}
	}
	known := r.walk(vars, reflect.ValueOf(c).Elem(), "", "")
	for _, name := range sortedKeys(vars) {
		if !known[name] && !otherVariables[name] && !strings.HasPrefix(name, EnvPrefix+"TEST_") {
			r.where = name
			r.bad(0, "", "sets nothing", hint(name, known))
		}
	}
}

// otherVariables begin alike and mean something else: HOLDFAST_LIBCHDB names the
// engine's library, HOLDFAST_CONFIG the file.
var otherVariables = map[string]bool{"HOLDFAST_LIBCHDB": true, "HOLDFAST_CONFIG": true}

func hint(name string, known map[string]bool) string {
	if s := nearest(name, sortedKeys(known)); s != "" {
		return "did you mean " + s + "?"
	}
	return "see `holdfast config print` for what can be set"
}

// walk sets each scalar whose variable is there and returns all variables' names.
func (r *reader) walk(vars map[string]string, v reflect.Value, env, key string) map[string]bool {
	known := map[string]bool{}
	fields, names := fieldsOf(v.Type())
	for _, name := range names {
		f := fields[name]
		at, variable := join(key, name), EnvPrefix+strings.TrimPrefix(env+"_"+strings.ToUpper(name), "_")
		x := v.Field(f.Index[0])
		if x.Kind() == reflect.Struct && x.Type() != nodeType {
			for k := range r.walk(vars, x, strings.TrimPrefix(env+"_"+strings.ToUpper(name), "_"), at) {
				known[k] = true
			}
			continue
		}
		text, set := vars[variable]
		isText := x.Kind() == reflect.Slice && x.Type().Elem().Kind() == reflect.String
		if x.Kind() == reflect.Map || x.Type() == nodeType || x.Kind() == reflect.Slice && !isText {
			continue
		}
		known[variable] = true
		if !set {
			continue
		}
		r.where = variable
		if isText {
			x.Set(reflect.ValueOf(splitList(text)))
			continue
		}
		r.scalar(0, text, x, at, f.Tag)
	}
	return known
}

func splitList(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
