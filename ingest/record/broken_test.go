package record

import "testing"

func TestBrokenPart(t *testing.T) {
	for text, want := range map[string]string{
		"sendQuery: [HTTP 500] code: 246, message: Empty marks file '/d/202611_1_11_1/data.cmrk4': 0, must be: 7656: (while reading from part /d/store/6c8/202611_1_11_1/ in table default.events (6c8) located on disk": "202611_1_11_1",
		"code: 241, message: memory limit exceeded while reading from part /d/202611_1_11_1/ in table default.events":                                                                                                    "",
		"code: 246, message: something else": "",
	} {
		got := ""
		if m := brokenPart.FindStringSubmatch(text); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
