package main

import (
	"fmt"
	"html/template"
	"os"

	"holdfast/cmd/internal/app"
)

type noticeCmd struct {
	Preview noticePreviewCmd `cmd:"" help:"Show what is told: each kind of message, in each language, on each channel."`
}

type noticePreviewCmd struct {
	Kind     []string `help:"Only these kinds, or those that begin so: customer, operator-stopped (default: all)." placeholder:"KIND"`
	Language []string `help:"Only these languages (default: all)." placeholder:"LANGUAGE"`
	Channel  []string `help:"Only these channels: mail, mime, slack, pagerduty, alertmanager, webhook, shared_signals (default: mail; all in --html)." placeholder:"CHANNEL"`
	HTML     string   `name:"html" type:"path" placeholder:"FILE" help:"Write a page that shows mails as mail programs do, narrow and wide."`
	List     bool     `help:"Only list the kinds."`
	JSON     bool     `help:"As JSON."`
}

// Run needs neither broker nor database: messages are made up, with the configuration's words.
func (p *noticePreviewCmd) Run(c *common) error {
	if p.List {
		for _, k := range app.NoticeKinds() {
			fmt.Println(k)
		}
		return nil
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	channels := p.Channel
	if len(channels) == 0 && p.HTML == "" {
		channels = []string{"mail"}
	}
	all, err := app.PreviewNotices(&cfg, p.Kind, p.Language, channels)
	if err != nil {
		return err
	}
	switch {
	case p.HTML != "":
		f, err := os.Create(p.HTML)
		if err != nil {
			return err
		}
		if err := noticePage.Execute(f, all); err != nil {
			_ = f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		_, err = fmt.Printf("%d messages: %s\n", len(all), p.HTML)
		return err
	case p.JSON:
		return printJSON(all)
	}
	for i, x := range all {
		if i > 0 {
			fmt.Println()
		}
		fmt.Printf("═══ %s · %s · %s\n", x.Kind, x.Language, x.Channel)
		if x.Channel == "mail" {
			fmt.Printf("Subject: %s\n\n", x.Subject)
		}
		fmt.Print(x.Text)
		if n := len(x.Text); n > 0 && x.Text[n-1] != '\n' {
			fmt.Println()
		}
	}
	return nil
}

// noticePage shows mails in frames that run nothing and open nothing.
var noticePage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Holdfast: notices</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 24px; color: #1b1f24; background: #fff; }
h2 { font-size: 17px; margin: 32px 0 4px; } p { margin: 0 0 8px; color: #57606a; }
iframe { border: 1px solid #ccc; height: 860px; margin: 0 12px 8px 0; vertical-align: top; max-width: 100%; }
pre { background: #f3f4f6; padding: 12px; max-height: 480px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
</style></head><body>
<h1>Notices</h1>
{{range .}}<h2>{{.Kind}} · {{.Language}} · {{.Channel}}</h2>
<p>{{.Subject}}</p>
{{if .HTML}}<iframe sandbox="" title="{{.Kind}} {{.Language}}, 390 px" width="390" srcdoc="{{.HTML}}"></iframe><iframe sandbox="" title="{{.Kind}} {{.Language}}, 700 px" width="700" srcdoc="{{.HTML}}"></iframe>
{{end}}<pre>{{.Text}}</pre>
{{end}}</body></html>
`))
