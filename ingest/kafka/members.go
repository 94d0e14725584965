package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Member is one member of a group, as its coordinator knows it.
type Member struct {
	ID       string
	ClientID string // what it names itself, see GroupConfig.ClientID
	Host     string
}

// Members lists a group's members; none where there is no such group.
func (c *Client) Members(ctx context.Context, group string) ([]Member, error) {
	got, err := c.api.DescribeGroups(ctx, &kafkago.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return nil, fmt.Errorf("kafka: members of group %s: %w", group, err)
	}
	var out []Member
	for _, g := range got.Groups {
		if g.GroupID != group {
			continue
		}
		if g.Error != nil {
			return nil, fmt.Errorf("kafka: members of group %s: %w", group, g.Error)
		}
		for _, m := range g.Members {
			out = append(out, Member{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost})
		}
	}
	return out, nil
}
