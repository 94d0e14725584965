package kumomta

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// harness is as much of KumoMTA's kumo module as the example uses.
const harness = `
local kumo = { http = {} }
function kumo.http.build_client(params)
  assert(params.timeout == '2 seconds')
  return { get = function(_, url)
    return { send = function(_)
      local body = fetch(url)
      return { text = function(_) return body end }
    end }
  end }
end
function kumo.memoize(f, params)
  assert(params.name and params.ttl == '1 second' and params.capacity > 0)
  return f
end
function kumo.log_error(text) logged = text end
function kumo.reject(code, text) error({ code = code, text = text }) end
package.preload.kumo = function() return kumo end
holdfast = dofile(example)
function message(edge, account)
  holdfast.edge, logged = edge, nil
  local ok, err = pcall(holdfast.refuse, account)
  if ok then return (logged and 'logged' or 'passes') end
  if type(err) ~= 'table' then error(err) end
  return err.code .. ' ' .. err.text
end
`

// The example refuses a suspended account's mail at injection, and lets mail pass where there
// is no account, nothing is known, or nobody answers.
func TestTheExampleForInjection(t *testing.T) {
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]string{"acct-1": "suspended", "a/b?c": "suspended", "acct-2": "revoked"}[strings.TrimPrefix(r.URL.Path, "/v1/status/account:")]
		if status == "" {
			status = "unknown"
		}
		name, _ := url.PathUnescape(r.URL.EscapedPath())
		fmt.Fprintf(w, `{"entity":%q,"status":%q,"known":true}`, name, status)
	}))
	defer edge.Close()
	l := lua.NewState()
	defer l.Close()
	l.SetGlobal("example", lua.LString(filepath.Join("..", "..", "..", "deploy", "edge", "kumomta-holdfast.lua")))
	l.SetGlobal("fetch", l.NewFunction(func(l *lua.LState) int {
		resp, err := http.Get(l.CheckString(1)) //nolint:noctx // the harness has none
		if err != nil {
			l.RaiseError("%v", err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		l.Push(lua.LString(b))
		return 1
	}))
	if err := l.DoString(harness); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		edge    string
		account lua.LValue
		want    string
	}{
		{edge.URL, lua.LString("acct-1"), "550 5.7.1 This account is suspended"}, {edge.URL, lua.LString("a/b?c"), "550 5.7.1"},
		{edge.URL, lua.LString("acct-2"), "passes"}, {edge.URL, lua.LString("acct-3"), "passes"}, {edge.URL, lua.LString(""), "passes"}, {edge.URL, lua.LNil, "passes"},
		{"http://127.0.0.1:1", lua.LString("acct-1"), "logged"}, {edge.URL + "/nowhere/%zz", lua.LString("acct-1"), "logged"},
	} {
		if err := l.CallByParam(lua.P{Fn: l.GetGlobal("message"), NRet: 1, Protect: true}, lua.LString(c.edge), c.account); err != nil {
			t.Fatal(err)
		}
		if got := l.ToString(-1); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v at %s: %q, not %q", c.account, c.edge, got, c.want)
		}
		l.Pop(1)
	}
}
