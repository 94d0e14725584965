package proof

import (
	"testing"

	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }
