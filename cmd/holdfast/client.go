package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// client asks the API.
type client struct {
	at, token string
	http      *http.Client
}

// The environment that says where the API is and who asks.
const (
	envAPI       = "HOLDFAST_API"        // https://host:port
	envToken     = "HOLDFAST_TOKEN"      // #nosec G101 -- the variable's name
	envTokenFile = "HOLDFAST_TOKEN_FILE" // #nosec G101 -- the variable's name
	envCA        = "HOLDFAST_CA_FILE"    // certificates to trust, PEM
)

// askTime bounds one request and its answer.
const askTime = 90 * time.Second

// api finds the API and who asks: by the environment, or the instance that runs on the data
// folder, whose owner needs nothing else.
func (c *common) api() (*client, error) {
	out := &client{at: strings.TrimRight(os.Getenv(envAPI), "/"), token: os.Getenv(envToken), http: &http.Client{Timeout: askTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	file := os.Getenv(envTokenFile)
	if out.at == "" {
		var at app.Endpoints
		cfg, err := c.find(func(cfg *config.Config) (err error) {
			at, err = app.ReadEndpoints(cfg.DataDir)
			return err
		})
		switch {
		case err == nil && at.API != "":
			out.at, file = at.API, cmp.Or(file, at.TokenFile)
		case err == nil:
			return nil, errors.New("the instance that runs here has no API: start it with the role serve and api.listen, or set " + envAPI)
		case errors.Is(err, app.ErrNotRunning) && !cfg.EmbeddedBroker() && cfg.API.Listen != "":
			out.at = map[bool]string{true: "https://", false: "http://"}[cfg.API.CertFile != ""] + cfg.API.Listen
			out.at = cmp.Or(cfg.API.Origin, out.at)
		default:
			return nil, err
		}
	}
	if u, err := url.Parse(out.at); err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s %q is no address: write https://host:port", envAPI, out.at)
	}
	if out.token == "" && file != "" {
		var err error
		if out.token, err = config.Secret("", file); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	if ca := os.Getenv(envCA); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", envCA, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s holds no certificate", envCA, ca)
		}
		out.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	}
	return out, nil
}

// do sends a request and reads the answer into out, where it is not nil. An error of the
// API is a *api.Problem.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body, out any, headers ...string) (http.Header, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	at := c.at + path
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, at, in)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the API at %s does not answer: %w", c.at, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("the API's answer did not come whole: %w", err)
	}
	if resp.StatusCode >= 300 {
		p := &api.Problem{}
		if json.Unmarshal(b, p) != nil || p.Code == "" {
			return nil, fmt.Errorf("the API at %s answered %s: is it Holdfast's?", c.at, resp.Status)
		}
		if p.Code == api.CodeUnauthorized && c.token == "" {
			p.Detail = "nobody is signed in: set " + envToken + " or " + envTokenFile + " to a token (holdfast people token, or the console)"
		}
		return resp.Header, p
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			return nil, fmt.Errorf("the API's answer cannot be read: %w", err)
		}
	}
	return resp.Header, nil
}

// ask is do for a question.
func ask[T any](ctx context.Context, c *common, path string, query url.Values) (out T, err error) {
	cl, err := c.api()
	if err != nil {
		return out, err
	}
	_, err = cl.do(ctx, http.MethodGet, path, query, nil, &out)
	return out, err
}

// pages reads a list to its end, or to so many items; 0 is all.
func pages[T any](ctx context.Context, c *common, path string, query url.Values, limit int) ([]T, error) {
	out := []T{}
	if query == nil {
		query = url.Values{}
	}
	for {
		p, err := ask[api.Page[T]](ctx, c, path, query)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Items...)
		if p.Next == "" || limit > 0 && len(out) >= limit {
			if limit > 0 {
				out = out[:min(len(out), limit)]
			}
			return out, nil
		}
		query.Set("cursor", p.Next)
	}
}

// entityPath is an entity's place in the API.
func entityPath(e schemas.Entity) string { return "/v1/entities/" + url.PathEscape(e.Key()) }

// newKey is an idempotency key for one command.
func newKey() string { return "cli-" + ulid.Make().String() }

// act asks for an act on an entity, or says what it would do.
func (c *client) act(ctx context.Context, e schemas.Entity, in api.ActIn, match string) (out api.ActOut, err error) {
	_, err = c.do(ctx, http.MethodPost, entityPath(e)+"/acts", nil, in, &out, "Idempotency-Key", newKey(), "If-Match", match)
	return out, refusal(in.Act, e.Key(), err)
}

// refusal says of which act an error of the API is.
func refusal(act, subject string, err error) error {
	p := (*api.Problem)(nil)
	if !errors.As(err, &p) {
		return err
	}
	switch p.Code {
	case api.CodeRefused, api.CodeConflict, api.CodeForbidden:
		if act == "unsnooze" {
			return fmt.Errorf("ending the snooze of %s was refused: %s", clean(subject), clean(p.Detail))
		}
		return fmt.Errorf("%s %s was refused: %s", act, clean(subject), clean(p.Detail))
	}
	return errors.New(clean(p.Detail))
}

// printAct says what came of an act.
func printAct(out api.ActOut, asJSON bool) error {
	if asJSON {
		return printJSON(out)
	}
	_, err := fmt.Println(clean(outcome(out)))
	return err
}

// outcome is what came of an act, in words. Some acts leave the status as it is.
func outcome(o api.ActOut) string {
	subject := o.Entity.Key()
	if o.Entity.IsZero() {
		subject = "the brake"
	}
	undo := ""
	if o.Inverse != "" {
		undo = " (undone by " + o.Inverse + ")"
	}
	switch {
	case o.DryRun && o.TwoPeople:
		return "would ask a second person to approve what " + o.Does + undo
	case o.DryRun:
		return "would do what " + o.Does + undo
	case o.Awaits:
		return fmt.Sprintf("%s: %s was asked for and waits for a second person: holdfast approve %s", subject, o.Act, subject)
	}
	switch o.Act {
	case "unsnooze":
		return fmt.Sprintf("%s: the snooze has ended, and it is %s as before", subject, phrase(o.After))
	case "snooze":
		return fmt.Sprintf("%s: snoozed until %s, and %s as before", subject, o.Until.UTC().Format(time.RFC3339), phrase(o.After))
	case "confirm":
		return fmt.Sprintf("%s: confirmed, and %s as before", subject, phrase(o.After))
	case "dismiss":
		return fmt.Sprintf("%s: dismissed; %s, before it was %s", subject, phrase(o.After), phrase(o.Before))
	case "suspend", "block", "throttle", "revoke", "release", "release_brake":
		return fmt.Sprintf("%s: %s, before it was %s", subject, phrase(o.After), phrase(o.Before))
	}
	return fmt.Sprintf("%s: %s done", subject, o.Act)
}

// phrase is a status within a sentence.
func phrase(status string) string {
	switch status {
	case "review":
		return "under review"
	case "":
		return "active"
	}
	return status
}
