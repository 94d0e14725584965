package schemas

// Columns of the events table that hold the record's Network; they stand behind the event.
const (
	ColumnCountry   = "country"
	ColumnCity      = "city"
	ColumnASN       = "asn"
	ColumnHosting   = "hosting"
	ColumnVPN       = "vpn"
	ColumnLocated   = "located"
	ColumnLatitude  = "latitude"
	ColumnLongitude = "longitude"
	ColumnIPv4      = "ipv4" // stands at the end, behind trust
)

// NetworkColumns returns the columns that hold a Network, in the order of its fields, but
// for ColumnIPv4.
func NetworkColumns() []Column {
	return []Column{
		{Name: ColumnCountry, Kind: ColumnWord},
		{Name: ColumnCity, Kind: ColumnText},
		{Name: ColumnASN, Kind: ColumnUint32},
		{Name: ColumnHosting, Kind: ColumnBool},
		{Name: ColumnVPN, Kind: ColumnBool},
		{Name: ColumnLocated, Kind: ColumnBool},
		{Name: ColumnLatitude, Kind: ColumnFloat64},
		{Name: ColumnLongitude, Kind: ColumnFloat64},
	}
}
