package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/alertmanager"
	"holdfast/alerting/notify/pagerduty"
	"holdfast/alerting/notify/sharedsignals"
	"holdfast/alerting/notify/slack"
	"holdfast/alerting/notify/smtp"
	"holdfast/alerting/notify/webhook"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// NoticeChannels are those that a preview can show: mail is a mail's text, mime the whole mail
// as it is sent, the others what their receivers are sent.
var NoticeChannels = []string{"mail", "mime", "slack", "pagerduty", "alertmanager", "webhook", "shared_signals"}

// NoticePreview is one message as it might be.
type NoticePreview struct {
	Kind     string `json:"kind"`
	Audience string `json:"audience"`
	Language string `json:"language"`
	Channel  string `json:"channel"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html,omitempty"` // of mails
}

// NoticeKinds are the kinds of message.
func NoticeKinds() []string {
	var out []string
	for _, s := range notify.Samples() {
		out = append(out, s.Name)
	}
	return out
}

// PreviewNotices writes messages with the configuration's words: of each kind, in each
// language, for each channel; all of what is left empty.
func PreviewNotices(cfg *config.Config, kinds, languages, channels []string) ([]NoticePreview, error) {
	w, err := newWriter(cfg, sampleToken)
	if err != nil {
		return nil, fmt.Errorf("enforce.words: %w", err)
	}
	for _, x := range []struct {
		what        string
		asked, have []string
	}{{"kind", kinds, NoticeKinds()}, {"language", languages, w.Languages()}, {"channel", channels, NoticeChannels}} {
		for _, a := range x.asked {
			if !slices.ContainsFunc(x.have, func(h string) bool { return matches(a, h) }) {
				return nil, fmt.Errorf("there is no %s %q: use %s", x.what, a, strings.Join(x.have, ", "))
			}
		}
	}
	if len(languages) == 0 {
		languages = w.Languages()
	}
	if len(channels) == 0 {
		channels = NoticeChannels
	}
	var out []NoticePreview
	for _, s := range notify.Samples() {
		if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k string) bool { return matches(k, s.Name) }) {
			continue
		}
		for _, lang := range languages {
			m := sampleMessage(w, s, lang)
			for _, channel := range channels {
				text, ok, err := onChannel(channel, s, m)
				if err != nil {
					return nil, err
				}
				if ok {
					p := NoticePreview{Kind: s.Name, Audience: s.Audience, Language: lang, Channel: channel, Subject: m.Subject, Text: text}
					if channel == "mail" {
						p.HTML = m.HTML
					}
					out = append(out, p)
				}
			}
		}
	}
	return out, nil
}

// matches reports whether a kind is asked for: by its name, or by the beginning of it.
func matches(asked, name string) bool { return asked == name || strings.HasPrefix(name, asked+"-") }

func sampleMessage(w *notify.Writer, s notify.Sample, lang string) notify.Message {
	letters := make([]*notify.Letter, len(s.Occasions))
	for i, o := range s.Occasions {
		letters[i] = &notify.Letter{
			ID: schemas.DeriveID("ntc", s.Name, o.Entity.ID), Time: o.Time, Decision: o.Cause, Entity: o.Entity, Account: o.Account, Verdict: o.Verdict, Policy: o.Policy,
			Audience: s.Audience, To: "operators", Occasion: o, Language: lang, Page: o.Page, Spree: &notify.Spree{Name: "cases"},
		}
	}
	if len(letters) == 1 {
		return letters[0].Message(w)
	}
	return notify.Digest(w, schemas.DeriveID("dig", s.Name), letters)
}

// onChannel is a message on a channel; false where it is not for that channel.
func onChannel(channel string, s notify.Sample, m notify.Message) (string, bool, error) {
	operators := s.Audience == notify.AudienceOperator
	var value any
	switch channel {
	case "mail":
		return m.Body, true, nil
	case "mime":
		text, err := smtp.Preview(m, "jo@shop.example")
		return text, true, err
	case "slack":
		value = slack.Preview(m)
	case "pagerduty":
		value = pagerduty.Preview(m)
	case "alertmanager":
		if len(m.Parts) > 0 {
			return "", false, nil // it gathers alerts by itself
		}
		value = alertmanager.Preview(m)
	case "webhook":
		value = webhook.Preview(m)
	case "shared_signals":
		if operators || !m.Occasion.System() {
			return "", false, nil
		}
		value, operators = sharedsignals.Preview(m), true
	}
	if !operators {
		return "", false, nil
	}
	b, err := json.Marshal(value, json.Deterministic(true), jsontext.Multiline(true), jsontext.WithIndent("  "))
	return string(b), true, err
}
