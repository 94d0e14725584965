package replay

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/traffic"
	"holdfast/schemas"
)

// written runs a file and returns its signals and decisions, those on trial apart.
func written(t *testing.T, cfg Config, data []byte) (live, tried [2][]byte) {
	t.Helper()
	take := func(i int) func([]byte) error {
		return func(v []byte) error {
			var x struct {
				Mode  schemas.Mode `json:"mode"`
				Trial string       `json:"trial"`
			}
			if err := json.Unmarshal(v, &x); err != nil {
				return err
			}
			to := &live
			if x.Trial != "" {
				if to = &tried; x.Mode != schemas.ModeShadow {
					t.Errorf("what is on trial is of mode %q: %s", x.Mode, v)
				}
			}
			to[i] = append(append(to[i], v...), '\n')
			return nil
		}
	}
	r, err := New(cfg, Deps{Signals: take(0), Decisions: take(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return live, tried
}

// What is live comes out byte for byte as without a trial, and the trial decides what
// its numbers would: here they hear what the live ones are deaf to.
func TestTrialBesideIsWrittenApart(t *testing.T) {
	data := life(traffic.Leak(7, begin.Add(10*time.Minute), 30*time.Minute), traffic.Botnet(4, 60, begin, 30*time.Minute))
	deaf := []byte(`{"new_source":{"floor":10000000},"fan_out":{"rarity":100}}`)
	plain, none := written(t, Config{Parameters: deaf}, data)
	live, tried := written(t, Config{Parameters: deaf, Trial: []byte(`{"name":"hearing","parameters":{"new_source":{"floor":8},"fan_out":{"rarity":5}}}`)}, data)
	for i, what := range []string{"signals", "decisions"} {
		if len(none[i]) != 0 || !bytes.Equal(plain[i], live[i]) {
			t.Errorf("live %s are not those of a run without a trial: %d and %d bytes", what, len(plain[i]), len(live[i]))
		}
		if len(tried[i]) == 0 {
			t.Errorf("no %s on trial", what)
		}
	}
	suspended := func(decisions []byte) bool { return bytes.Contains(decisions, []byte(`"verdict":"suspend"`)) }
	if suspended(live[1]) || !suspended(tried[1]) {
		t.Errorf("suspended live: %v, on trial: %v; want it on trial only", suspended(live[1]), suspended(tried[1]))
	}
}
