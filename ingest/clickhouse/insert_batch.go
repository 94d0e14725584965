package clickhouse

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"

	"holdfast/schemas"
)

// insertBatch sends a block through the driver, over whichever protocol it speaks.
func (c *Client) insertBatch(ctx context.Context, table, token string, b *Block) error {
	settings := chgo.Settings{}
	for name, value := range insertSettings(token) {
		settings[name] = value
	}
	batch, err := c.PrepareBatch(chgo.Context(ctx, chgo.WithSettings(settings)), insertStatement(table, b))
	if err != nil {
		return asRefused(err)
	}
	defer func() { _ = batch.Close() }()
	columns := batch.Columns()
	if len(columns) != len(b.Columns) {
		return fmt.Errorf("the store's %s takes %d columns, not %d: run `holdfast migrate`", table, len(columns), len(b.Columns))
	}
	for i := range b.Columns {
		if err := b.Columns[i].into(columns[i], b.rows); err != nil {
			return fmt.Errorf("column %s: %w", b.Columns[i].name, err)
		}
	}
	return asRefused(batch.Send())
}

// into fills the driver's column. It takes whole columns in the form in which
// they travel; only words it has to be told one by one.
func (c *Column) into(to column.Interface, rows int) error {
	if c.kind == schemas.ColumnWord {
		values := make([]string, rows)
		for i := range values {
			values[i] = c.list[binary.LittleEndian.Uint16(c.data[2*i:])]
		}
		_, err := to.Append(values)
		return err
	}
	r := proto.NewReader(io.MultiReader(bytes.NewReader(c.marks), bytes.NewReader(c.data)))
	return to.Decode(r, rows)
}

func asRefused(err error) error {
	if e, ok := errors.AsType[*chgo.Exception](err); ok {
		return &Refused{Code: int(e.Code), Text: e.Message}
	}
	return err
}
