// Package slack tells operators by Slack: with an app's token by chat.postMessage, which puts
// what follows in a case into the thread of its first message, or by an incoming webhook,
// which cannot. A message is a header, the
// subject, and the body in code blocks, so that nothing that strangers chose becomes a link,
// a mention or formatting. The limits are Slack's: 150 characters in a header, 3,000 in a
// section, 50 blocks a message; what is longer is cut, and says so.
//
// Slack has no idempotency key for messages: one whose answer was lost comes twice. Its id
// stands in the last line.
package slack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
	"holdfast/schemas"
)

// Slack is one channel. It is safe for concurrent use.
type Slack struct {
	cfg Config
	to  post.Poster
}

// Deps are what a Slack works with; each may be missing.
type Deps struct{ Transport http.RoundTripper }

// New reads the address and returns a channel that connects when it is used.
func New(cfg Config, deps Deps) (*Slack, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("slack %q: %w", cfg.Name, err)
	}
	if cfg.TokenFile != "" {
		token, err := notify.ReadSecret(cfg.TokenFile)
		if err == nil && !strings.HasPrefix(token, "xox") {
			err = errors.New("it holds no token: a bot token begins with xoxb-")
		}
		if err != nil {
			return nil, fmt.Errorf("slack %q: token_file %s: %w", cfg.Name, cfg.TokenFile, err)
		}
		return &Slack{cfg, post.Poster{
			Name: "slack " + cfg.Name, URL: cmp.Or(cfg.URL, PostMessage), Client: post.Client(cfg.Timeout, deps.Transport),
			Header: http.Header{"Authorization": {"Bearer " + token}},
		}}, nil
	}
	address, err := notify.ReadSecret(cfg.URLFile)
	if err == nil {
		err = checkURL(address)
	}
	if err != nil {
		return nil, fmt.Errorf("slack %q: url_file %s: %w", cfg.Name, cfg.URLFile, err)
	}
	return &Slack{cfg, post.Poster{Name: "slack " + cfg.Name, URL: address, Client: post.Client(cfg.Timeout, deps.Transport)}}, nil
}

// Name is the channel's name.
func (s *Slack) Name() string { return s.cfg.Name }

// Audiences says that it tells operators.
func (s *Slack) Audiences() []notify.Address {
	return []notify.Address{{Audience: notify.AudienceOperator, To: s.cfg.Name}}
}

// Customers says that it tells no customer.
func (s *Slack) Customers() bool { return false }

// Send posts a message.
func (s *Slack) Send(ctx context.Context, m notify.Message) (retry bool, err error) {
	_, retry, err = s.SendIn(ctx, m)
	return retry, err
}

// SendIn posts a message, below the case's first one where m.Thread names it, and returns
// what Slack calls it (its ts); empty by an incoming webhook.
func (s *Slack) SendIn(ctx context.Context, m notify.Message) (ref string, retry bool, err error) {
	body := payload(m)
	if s.cfg.TokenFile == "" {
		retry, err = s.to.JSON(ctx, body)
		return "", retry, err
	}
	body.Channel, body.Thread = s.cfg.Channel, m.Thread
	// What began again, and what wants a person, is shown in the channel too.
	body.Broadcast = m.Thread != "" && (m.Page || m.Occasion.What == notify.Relapsed)
	said, retry, err := s.to.Ask(ctx, body)
	if err != nil {
		return "", retry, err
	}
	a, err := read(said)
	switch {
	case err != nil:
		return "", true, fmt.Errorf("slack %s: its answer cannot be read: %w", s.cfg.Name, err)
	case a.ok:
		return a.ts, false, nil
	case m.Thread != "" && (a.problem == "thread_not_found" || a.problem == "message_not_found"):
		m.Thread = "" // somebody deleted it
		return s.SendIn(ctx, m)
	}
	return "", !refused[a.problem], fmt.Errorf("slack %s answered %s", s.cfg.Name, a.problem)
}

// refused are the answers by which Slack does not take a message as it is; whatever else is
// wrong (a token, a channel, a limit) can be put right.
var refused = map[string]bool{"msg_too_long": true, "invalid_blocks": true, "invalid_blocks_format": true, "no_text": true, "msg_blocks_too_long": true}

// answer is what chat.postMessage says.
type answer struct {
	ok          bool
	ts, problem string
}

// read takes an answer's first fields: what follows, the message itself, may be cut off.
func read(said []byte) (a answer, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(said))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return a, errors.New("it is no JSON object")
	}
	for {
		name, err := d.ReadToken()
		if err != nil || name.Kind() != '"' {
			break
		}
		field := name.String()
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		text := strings.Trim(string(value), `"`)
		switch field {
		case "ok":
			a.ok = text == "true"
		case "ts":
			a.ts = text
		case "error":
			a.problem = notify.Clip(schemas.Printable(text), 100)
		}
	}
	if !a.ok && a.problem == "" {
		return a, errors.New("it says neither ok nor error")
	}
	return a, nil
}

// The limits of Slack's block kit, in characters.
const (
	maxHeader  = 150
	maxSection = 3000
	maxBlocks  = 50
)

type message struct {
	Channel   string  `json:"channel,omitempty"`
	Thread    string  `json:"thread_ts,omitempty"`
	Broadcast bool    `json:"reply_broadcast,omitzero"`
	Text      string  `json:"text"` // what notifications show
	Blocks    []block `json:"blocks"`
	// Slack shows no preview of what a link leads to.
	UnfurlLinks bool `json:"unfurl_links"`
	UnfurlMedia bool `json:"unfurl_media"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji *bool  `json:"emoji,omitempty"`
}

func payload(m notify.Message) message {
	emoji := false
	subject := m.Subject
	if m.Page {
		subject = "Act now: " + subject
	}
	blocks := []block{{Type: "header", Text: &text{"plain_text", cut(subject, maxHeader), &emoji}}}
	for _, part := range pieces(m.Body) {
		if len(blocks) == maxBlocks-2 {
			break
		}
		blocks = append(blocks, block{Type: "section", Text: &text{Type: "mrkdwn", Text: part}})
	}
	if m.CaseURL != "" {
		blocks = append(blocks, block{Type: "section", Text: &text{Type: "mrkdwn", Text: "<" + escape(m.CaseURL) + "|" + escape(cut(m.Button, 75)) + ">"}})
	}
	return message{
		Text:   escape(cut(subject, maxSection/6)),
		Blocks: append(blocks, block{Type: "context", Elements: []text{{Type: "plain_text", Text: cut("decision "+m.Decision.ID+" · notice "+m.ID, 300)}}}),
	}
}

// Preview is what Slack is sent.
func Preview(m notify.Message) any { return payload(m) }

const fence = "```"

// pieces cuts a body into code blocks that each fit a section, at lines where it can.
func pieces(body string) (out []string) {
	const room = maxSection - 2*len(fence) - 2
	var b strings.Builder
	size := 0
	flush := func() {
		if size > 0 {
			out = append(out, fence+"\n"+strings.TrimSuffix(b.String(), "\n")+"\n"+fence)
		}
		b.Reset()
		size = 0
	}
	for line := range strings.Lines(strings.TrimSpace(body) + "\n") {
		line = escape(strings.ReplaceAll(line, fence, "'''"))
		n := utf8.RuneCountInString(line)
		if n > room {
			line = cutEscaped(line, room)
			n = utf8.RuneCountInString(line)
		}
		if size+n > room {
			flush()
		}
		b.WriteString(line)
		size += n
	}
	flush()
	return out
}

// escape is what Slack asks for in text: these three characters, and no others. Without them
// nothing is a link or a mention.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// cut shortens to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

// cutEscaped shortens escaped text without leaving half of an escape.
func cutEscaped(s string, n int) string {
	s = cut(s, n)
	if i := strings.LastIndexByte(s, '&'); i >= 0 && !strings.Contains(s[i:], ";") {
		s = s[:i] + "…"
	}
	return s
}
