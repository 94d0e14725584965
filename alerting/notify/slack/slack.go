// Package slack tells operators by a Slack incoming webhook. A message is a header, the
// subject, and the body in code blocks, so that nothing that strangers chose becomes a link,
// a mention or formatting. The limits are Slack's: 150 characters in a header, 3,000 in a
// section, 50 blocks a message; what is longer is cut, and says so.
//
// Slack has no idempotency key for incoming webhooks: a message whose answer was lost comes
// twice. Its id stands in the last line.
package slack

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
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
	return s.to.JSON(ctx, payload(m))
}

// The limits of Slack's block kit, in characters.
const (
	maxHeader  = 150
	maxSection = 3000
	maxBlocks  = 50
)

type message struct {
	Text   string  `json:"text"` // what notifications show
	Blocks []block `json:"blocks"`
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
		if len(blocks) == maxBlocks-1 {
			break
		}
		blocks = append(blocks, block{Type: "section", Text: &text{Type: "mrkdwn", Text: part}})
	}
	return message{
		Text:   escape(cut(subject, maxSection/6)),
		Blocks: append(blocks, block{Type: "context", Elements: []text{{Type: "plain_text", Text: cut("decision "+m.Decision.ID+" · notice "+m.ID, 300)}}}),
	}
}

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
