package schemas

// ColumnBody holds a finding's whole record as it was written.
const ColumnBody = "body"

// ColumnTrial names the trial under which a signal or a decision stands.
const ColumnTrial = "trial"

// SignalsView shows the inbox's signals alone, each once, with the numbers of their
// evidence. Those of mode shadow come from numbers on trial.
const SignalsView = "signals"

const signalsView = `CREATE OR REPLACE VIEW ` + SignalsView + ` AS
SELECT log_id, topic, partition, offset, arrival, id, time, entity, account, source, origin, detector, family, level, score, severity,
    if(kind = 'trial', 'shadow', 'live') AS mode, trial,
    JSONExtractString(body, 'technique') AS technique,
    JSONExtractBool(body, 'certain') AS certain,
    JSONExtractString(body, 'trigger') AS trigger,
    JSONExtractString(body, 'credential') AS credential,
    JSONExtractFloat(body, 'evidence', 'observed') AS observed,
    JSONExtractFloat(body, 'evidence', 'expected') AS expected,
    JSONExtractFloat(body, 'evidence', 'threshold') AS threshold,
    JSONExtractString(body, 'evidence', 'unit') AS unit,
    JSONExtractString(body, 'evidence', 'window') AS window,
    JSONExtractString(body, 'evidence', 'text') AS text,
    body, copies
FROM inbox_unique WHERE kind IN ('signal', 'trial')`

func word(name string) Column   { return Column{Name: name, Kind: ColumnWord} }
func plain(name string) Column  { return Column{Name: name, Kind: ColumnText} }
func whole(name string) Column  { return Column{Name: name, Kind: ColumnInt32} }
func number(name string) Column { return Column{Name: name, Kind: ColumnInt64} }

// findingTable declares a table of findings: columns by which people look for
// them, and the whole record in body. What a finding lacks is empty or zero.
func findingTable(topic Topic, days int, order []string, own ...Column) Table {
	columns := append(positionColumns(),
		word("kind"),
		Column{Name: "id", Kind: ColumnText, Codec: "ZSTD(1)"},
		Column{Name: "time", Kind: ColumnTime, Codec: "Delta, ZSTD(1)"},
		Column{Name: ColumnEntity, Kind: ColumnText, Codec: "ZSTD(1)"},
		Column{Name: "account", Kind: ColumnText, Bloom: true},
		word(ColumnSource), word(ColumnOrigin))
	columns = append(columns, own...)
	columns = append(columns, Column{Name: ColumnBody, Kind: ColumnText, Codec: "ZSTD(3)"})
	return Table{Topic: topic, Name: string(topic), Columns: columns, OrderBy: order, Days: days}
}

func findingTables() []Table {
	byEntity, byTime := []string{ColumnEntity, "time"}, []string{"time"}
	return []Table{
		findingTable(TopicInbox, 400, byEntity, word("detector"), word("family"), word("severity"), whole("level"),
			Column{Name: "score", Kind: ColumnFloat64}, word("act"), plain("actor"), plain("decision"), word(ColumnTrial)),
		findingTable(TopicDecisions, 1200, byEntity, word("verdict"), word("proposed"), word("policy"), whole("policy_version"), word("mode"),
			whole("episode"), Column{Name: "score", Kind: ColumnFloat64}, Column{Name: "braked", Kind: ColumnBool},
			plain("by"), Column{Name: "signals", Kind: ColumnTexts}, Column{Name: "shares", Kind: ColumnFloats}, word(ColumnTrial)),
		findingTable(TopicActions, 1200, byEntity, plain("decision"), word("verdict"), word("channel"), plain("target"), word("outcome"), whole("attempts")),
		findingTable(TopicNotices, 1200, byEntity, plain("decision"), word("audience"), word("channel"), plain("to"), word("outcome"), whole("attempts")),
		findingTable(TopicCases, 1200, byEntity, whole("episode"), word("state"), plain("by")),
		findingTable(TopicOperator, 1200, byEntity, plain("actor"), word("act"), plain("why"), plain("refused")),
		findingTable(TopicGaps, 1200, byTime, word("gap_topic"), whole("gap_partition"), number("gap_from"), number("gap_to"), plain("reason")),
		findingTable(TopicRejected, 400, byTime, plain("rejected_topic"), whole("rejected_partition"), number("rejected_offset"),
			word("reason"), plain("detail"), number("size"), plain("sha256")),
	}
}
