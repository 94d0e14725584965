package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"holdfast/ingest/embedded/folder"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	limitType    = reflect.TypeFor[Limit]()
	nodeType     = reflect.TypeFor[yaml.Node]()
)

// reader walks a YAML document beside the configuration's type and collects what
// is wrong.
type reader struct {
	where    string
	mistakes []error
	lines    map[string]int  // by key: where it was set
	wrong    map[string]bool // keys whose mistake was reported before
}

func (r *reader) bad(line int, key, what, fix string) {
	r.mistakes = append(r.mistakes, &Mistake{Where: r.where, Line: line, Key: key, What: what, Fix: fix})
}

// value sets v from the node.
func (r *reader) value(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	r.lines[key] = n.Line
	if n.Tag == "!!null" {
		return // as if the key were absent
	}
	switch {
	case v.Type() == nodeType:
		v.Set(reflect.ValueOf(*n))
	case v.Kind() == reflect.Struct:
		r.mapping(n, v, key)
	case v.Kind() == reflect.Slice:
		r.list(n, v, key, tag)
	case v.Kind() == reflect.Map:
		r.table(n, v, key, tag)
	case n.Kind != yaml.ScalarNode:
		r.bad(n.Line, key, "is a "+kindOf(n), "write "+shapeOf(v.Type()))
	default:
		r.scalar(n.Line, n.Value, v, key, tag)
	}
}

func (r *reader) mapping(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		r.bad(n.Line, key, "is a "+kindOf(n), "write keys and values below it")
		return
	}
	fields, known := fieldsOf(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		at := join(key, name.Value)
		if first, ok := seen[name.Value]; ok {
			r.bad(name.Line, at, fmt.Sprintf("is set twice, first in line %d", first), "keep one")
			continue
		}
		seen[name.Value] = name.Line
		f, ok := fields[name.Value]
		if !ok {
			r.bad(name.Line, at, "is unknown", suggest(name.Value, known))
			continue
		}
		r.value(n.Content[i+1], v.Field(f.Index[0]), at, f.Tag)
		r.lines[at] = name.Line // what stands below it begins a line later
	}
}

func suggest(word string, known []string) string {
	if s := nearest(word, known); s != "" {
		return "did you mean " + s + "?"
	}
	return "use one of " + strings.Join(known, ", ")
}

// list reads a list. One entry of several keys may stand there without the list's dash.
func (r *reader) list(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind == yaml.MappingNode && v.Type().Elem().Kind() == reflect.Struct {
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Content: []*yaml.Node{n}}
	}
	if n.Kind != yaml.SequenceNode {
		r.bad(n.Line, key, "is a "+kindOf(n), "write a list: [a, b]")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, x := range n.Content {
		r.value(x, out.Index(i), fmt.Sprintf("%s[%d]", key, i), tag)
	}
	v.Set(out)
}

func (r *reader) table(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind != yaml.MappingNode {
		r.bad(n.Line, key, "is a "+kindOf(n), "write names and values below it")
		return
	}
	out := reflect.MakeMap(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if first, ok := seen[name.Value]; ok {
			r.bad(name.Line, join(key, name.Value), fmt.Sprintf("is set twice, first in line %d", first), "keep one")
			continue
		}
		seen[name.Value] = name.Line
		x := reflect.New(v.Type().Elem()).Elem()
		r.value(n.Content[i+1], x, join(key, name.Value), tag)
		out.SetMapIndex(reflect.ValueOf(name.Value), x)
	}
	v.Set(out)
}

// scalar sets v from text, from a file or from the environment.
func (r *reader) scalar(line int, text string, v reflect.Value, key string, tag reflect.StructTag) {
	if err := setScalar(text, v); err != nil {
		r.bad(line, key, err.Error(), "write "+shapeOf(v.Type()))
		return
	}
	if one, ok := tag.Lookup("one"); ok {
		r.oneOf(line, text, key, strings.Split(one, ","))
	}
	if kind, ok := tag.Lookup("file"); ok && text != "" {
		if err := readable(text); err != nil {
			r.bad(line, key, err.Error(), "name a file that this user can read")
		} else if kind == "secret" {
			if err := folder.CheckSecret(text); err != nil {
				r.bad(line, key, err.Error(), "")
			}
		}
	}
}

func (r *reader) oneOf(line int, text, key string, allowed []string) {
	for _, a := range allowed {
		if text == a {
			return
		}
	}
	r.bad(line, key, fmt.Sprintf("%q is not allowed", text), suggest(text, slices.DeleteFunc(allowed, func(a string) bool { return a == "" })))
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	return nil
}

func setScalar(text string, v reflect.Value) error {
	switch v.Type() {
	case durationType:
		d, err := ParseDuration(text)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	case limitType:
		l, err := parseLimit(text)
		if err == nil {
			v.SetInt(int64(l))
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("cannot be set from text")
	}
	return nil
}

func shapeOf(t reflect.Type) string {
	switch t {
	case durationType:
		return "a duration such as 30s, 5m or 6h"
	case limitType:
		return "a duration such as 6h or 90d, or off"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number, 0 or more"
	}
	return "text"
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}

// fieldsOf returns a struct's fields by their keys, and the keys in order.
func fieldsOf(t reflect.Type) (map[string]reflect.StructField, []string) {
	fields, names := map[string]reflect.StructField{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		fields[name] = f
		names = append(names, name)
	}
	return fields, names
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
