package history

import (
	"strings"

	"holdfast/schemas"
)

// networkNames are the columns of an event's network, in the order of networkInto.
func networkNames() string {
	var names []string
	for _, c := range schemas.NetworkColumns() {
		names = append(names, c.Name+" AS network_"+c.Name)
	}
	return strings.Join(append(names, schemas.ColumnIPv4+" AS network_"+schemas.ColumnIPv4), ", ")
}

// networkInto are the destinations of the columns.
func networkInto(n *schemas.Network) []any {
	return []any{&n.Country, &n.City, &n.ASN, &n.Hosting, &n.VPN, &n.Located, &n.Lat, &n.Lon, &n.IPv4}
}
