package clickhouse

import "testing"

func TestDeclares(t *testing.T) {
	for sql, want := range map[string]bool{
		"CREATE TABLE t (n Int8) ENGINE = Null":      true,
		"-- why\n alter TABLE t ADD COLUMN s String": true,
		"ALTER TABLE t MODIFY COMMENT 'PART'":        true,
		"ALTER TABLE t DETACH PART '1_1_1_0'":        false,
		"ALTER TABLE t DROP PARTITION 202601":        false,
		"ALTER TABLE t DELETE WHERE n = 1":           false,
		"DROP TABLE t":                               false,
		"TRUNCATE TABLE t":                           false,
		"SELECT 'CREATE'":                            false,
	} {
		if got := declares(sql); got != want {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
	}
}
