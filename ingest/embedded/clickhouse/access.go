package clickhouse

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// The engine's own access control is the first line: its one user, `default`, can
// read and write tables and nothing else of the machine. Each request chooses one
// of its two roles before its statement. What grants do not cover (a function that
// reads files, clauses that a client carries out, table engines that run programs)
// is refused by examine.

// Roles of the engine's user.
const (
	roleFull   = "holdfast_full"
	roleReader = "holdfast_reader"
)

// fixedSettings are those by which a statement could have the engine read a file,
// call a server, read SQL in another way than examine does, or evaluate functions in
// the rows of VALUES, which it does not see. Nobody changes them.
var fixedSettings = []string{
	"dialect", "format_schema", "format_schema_source", "format_schema_message_name",
	"format_template_row", "format_template_row_format", "format_template_resultset", "format_template_resultset_format",
	"format_avro_schema_registry_url", "implicit_select", "implicit_table_at_top_level", "allow_settings_after_format_in_insert",
	"input_format_values_interpret_expressions", "input_format_values_deduce_templates_of_expressions",
	"dynamic_disk_allow_from_env", "dynamic_disk_allow_include", "dynamic_disk_allow_from_zk", "allow_introspection_functions",
}

// serverConfig is the engine's configuration. An insert that was answered survives
// a power failure, and so does what a merge made of it: offsets are committed on
// the strength of that answer. Memory is bounded because the engine shares the
// machine with everything else. The folders for people's files are ones that do
// not exist.
func serverConfig(maxMemory int64, usersFile, nowhere string) []byte {
	memory := "<max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>"
	if maxMemory > 0 {
		memory = fmt.Sprintf("<max_server_memory_usage>%d</max_server_memory_usage>", maxMemory)
	}
	return []byte(`<clickhouse>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
  </merge_tree>
  <users_config>` + xmlText(usersFile) + `</users_config>
  <user_files_path>` + xmlText(nowhere) + `</user_files_path>
  <user_scripts_path>` + xmlText(nowhere) + `</user_scripts_path>
  <format_schema_path>` + xmlText(nowhere) + `</format_schema_path>
  ` + memory + `
</clickhouse>
`)
}

// usersConfig says what the engine's user may do. It may create no dictionary,
// function, user or named collection, and has no source: not one grant reaches
// outside of the tables.
func usersConfig(readerDatabase string) []byte {
	var fixed strings.Builder
	for _, s := range fixedSettings {
		fmt.Fprintf(&fixed, "\n        <%s><const/></%s>", s, s)
	}
	return []byte(`<clickhouse>
  <profiles>
    <default>
      <input_format_values_interpret_expressions>0</input_format_values_interpret_expressions>
      <input_format_values_deduce_templates_of_expressions>0</input_format_values_deduce_templates_of_expressions>
      <constraints>` + fixed.String() + `
      </constraints>
    </default>
  </profiles>
  <roles>
    <` + roleFull + `>
      <grants>
        <query>GRANT SHOW, SELECT, INSERT, ALTER TABLE, ALTER VIEW, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, SYSTEM MERGES ON *.*</query>
      </grants>
    </` + roleFull + `>
    <` + roleReader + `>
      <grants>
        <query>GRANT SELECT ON ` + xmlText(quoteName(readerDatabase)) + `.*</query>
      </grants>
    </` + roleReader + `>
  </roles>
  <users>
    <default>
      <no_password/>
      <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT ` + roleFull + `</query>
        <query>GRANT ` + roleReader + `</query>
      </grants>
    </default>
  </users>
  <quotas><default></default></quotas>
</clickhouse>
`)
}

func xmlText(s string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(s)) // a buffer takes everything
	return out.String()
}
