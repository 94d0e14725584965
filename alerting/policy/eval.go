package policy

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/template"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// maxReason is the longest reason that a template may write, in bytes.
const maxReason = 4096

// compile checks a condition against Env. The builtin now would read a clock.
func compile(src string) (*vm.Program, *file.Error, error) {
	p, err := expr.Compile(src, expr.Env(Env{}), expr.AsBool(), expr.MaxNodes(maxNodes), expr.DisableBuiltin("now"))
	if err == nil {
		return p, nil, nil
	}
	var at *file.Error
	if errors.As(err, &at) {
		return nil, at, errors.New(at.Message)
	}
	return nil, nil, err
}

// machines evaluate conditions; what one has allocated serves the next condition too.
var machines = sync.Pool{New: func() any { return new(vm.VM) }}

// Holds evaluates the policy's condition. An error (for example an index beyond
// the list) means that it does not hold; Parse tries conditions on samples, so
// that such mistakes are seen at load.
func (p *Policy) Holds(env *Env) (bool, error) {
	m := machines.Get().(*vm.VM)
	defer machines.Put(m)
	out, err := m.Run(p.when, env)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			err = errors.New(at.Message)
		}
		return false, fmt.Errorf("policy %s: evaluate its condition: %w", p.Name, err)
	}
	return out.(bool), nil
}

// Enough is rule 3's first half: signals of two families, or a certain one.
func Enough(env *Env) bool { return env.Families >= 2 || env.Certain }

// AboveFloor is rule 3's second half: one signal observed at least what the
// policy's floor asks for in that signal's unit.
func (p *Policy) AboveFloor(env *Env) bool {
	if len(p.Floor) == 0 {
		return true
	}
	for _, s := range env.Signals {
		for _, unit := range []string{s.Unit, AnyUnit} {
			if least, ok := p.Floor[unit]; ok && s.Observed >= least {
				return true
			}
		}
	}
	return false
}

// ReasonData is what a reason for analysts may use.
type ReasonData struct {
	Entity, Account, Policy string
	Families                []string
	Evidence                []string // the signals' sentences, strongest first, each with its share
	Risk                    float64
}

// NoticeData is what a reason for customers may use: nothing in it is a number.
type NoticeData struct {
	Account  string
	Families []string
}

// Reason writes the reason for analysts.
func (p *Policy) Reason(d ReasonData) string { return write(p.reason, d) }

// NoticeReason writes the reason for customers.
func (p *Policy) NoticeReason(d NoticeData) string { return write(p.notice, d) }

func write(t *template.Template, data any) string {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "the reason could not be written: " + err.Error()
	}
	return clip(strings.TrimSpace(b.String()), maxReason)
}

// clip cuts s at n bytes, between runes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const dots = "…"
	n -= len(dots)
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + dots
}

var funcs = template.FuncMap{"join": strings.Join}

func parseTemplate(name, text string, sample any) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(funcs).Parse(text)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	return t, t.Execute(&b, sample)
}
