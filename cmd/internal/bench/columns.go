package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"holdfast/ingest/clickhouse"
	"holdfast/schemas"
)

// columns is one insert of the bare copy.
type columns struct {
	id, kind, account, credential, ip, sender, message []string
	time                                               []time.Time
	recipients                                         [][]string
	size                                               []int64
}

func (c *columns) add(e *schemas.Event) {
	c.id = append(c.id, e.ID)
	c.time = append(c.time, time.UnixMilli(e.Time))
	c.kind = append(c.kind, string(e.Type))
	c.account = append(c.account, e.Account)
	c.credential = append(c.credential, e.Credential)
	c.ip = append(c.ip, e.IP.String())
	c.sender = append(c.sender, e.Sender)
	c.recipients = append(c.recipients, slices.Clone(e.Recipients))
	c.message = append(c.message, strings.Clone(e.MessageID))
	c.size = append(c.size, e.Size)
}

func (c *columns) insert(ctx context.Context, store *clickhouse.Client) error {
	b, err := store.PrepareBatch(ctx, "INSERT INTO bare")
	if err != nil {
		return err
	}
	for i, col := range []any{c.id, c.time, c.kind, c.account, c.credential, c.ip, c.sender, c.recipients, c.message, c.size} {
		if err := b.Column(i).Append(col); err != nil {
			return err
		}
	}
	return b.Send()
}
