package kafka

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
)

// balancerName is the protocol that all members of a role's group must speak.
const balancerName = "holdfast-sticky"

// balancer gives each lane (the same partition number of all topics) to one
// member. Members tell what they held in which generation; the leader leaves
// lanes where they are as far as shares stay within one of each other.
type balancer struct {
	lanes int

	mu   sync.Mutex
	held holding
}

// holding is what one member held in its last generation.
type holding struct {
	generation int32
	lanes      []int32
}

func (b *balancer) hold(generation int32, lanes []int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = holding{generation, slices.Clone(lanes)}
}

// ProtocolName names the balancer to the group's coordinator.
func (b *balancer) ProtocolName() string { return balancerName }

// UserData tells the group's leader what this member held.
func (b *balancer) UserData() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.append(nil), nil
}

// AssignGroups is called on the group's leader. A topic gets the lanes for
// which it has a partition.
func (b *balancer) AssignGroups(members []kafkago.GroupMember, partitions []kafkago.Partition) kafkago.GroupMemberAssignments {
	held := make(map[string]holding, len(members))
	for _, m := range members {
		held[m.ID] = parseHolding(m.UserData)
	}
	has := make(map[TopicPartition]bool, len(partitions))
	for _, p := range partitions {
		has[TopicPartition{p.Topic, int32(p.ID)}] = true
	}
	shares := balance(held, b.lanes)
	out := make(kafkago.GroupMemberAssignments, len(members))
	for _, m := range members {
		out[m.ID] = make(map[string][]int, len(m.Topics))
		for _, topic := range m.Topics {
			for _, lane := range shares[m.ID] {
				if has[TopicPartition{topic, lane}] {
					out[m.ID][topic] = append(out[m.ID][topic], int(lane))
				}
			}
		}
	}
	return out
}

// balance shares lanes 0..n-1 out. Every lane goes to exactly one member, no
// member has two more than another, and as few lanes as that allows leave the
// member that held them last. The result depends on nothing else.
func balance(held map[string]holding, n int) map[string][]int32 {
	if len(held) == 0 {
		return nil
	}
	shares := claims(held, n)
	members := make([]string, 0, len(held))
	for m := range held {
		members = append(members, m)
	}
	// The bigger shares go to those who hold most: that moves least.
	slices.SortFunc(members, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(shares[b]), len(shares[a])), cmp.Compare(a, b))
	})
	taken := make([]bool, n)
	quota := func(i int) int {
		if i < n%len(members) {
			return n/len(members) + 1
		}
		return n / len(members)
	}
	for i, m := range members {
		shares[m] = shares[m][:min(len(shares[m]), quota(i))]
		for _, lane := range shares[m] {
			taken[lane] = true
		}
	}
	free := int32(0)
	for i, m := range members {
		for len(shares[m]) < quota(i) {
			for taken[free] {
				free++
			}
			taken[free] = true
			shares[m] = append(shares[m], free)
		}
		slices.Sort(shares[m])
	}
	return shares
}

// claims tells who holds each lane: where several say so, who did in the latest
// generation.
func claims(held map[string]holding, n int) map[string][]int32 {
	owner := make([]string, n)
	for m, h := range held {
		for _, lane := range h.lanes {
			if lane < 0 || int(lane) >= n {
				continue
			}
			o := owner[lane]
			if o == "" || h.generation > held[o].generation || h.generation == held[o].generation && m < o {
				owner[lane] = m
			}
		}
	}
	shares := make(map[string][]int32, len(held))
	for lane, m := range owner {
		if m != "" {
			shares[m] = append(shares[m], int32(lane))
		}
	}
	return shares
}

// holdingVersion begins the user data: version, generation, then each lane, all
// as unsigned numbers of variable size.
const holdingVersion = 1

func (h holding) append(b []byte) []byte {
	b = append(b, holdingVersion)
	b = binary.AppendUvarint(b, uint64(uint32(h.generation)))
	for _, lane := range h.lanes {
		b = binary.AppendUvarint(b, uint64(uint32(lane)))
	}
	return b
}

// parseHolding reads user data; what it cannot read counts as holding nothing.
func parseHolding(b []byte) holding {
	if len(b) == 0 || b[0] != holdingVersion {
		return holding{}
	}
	var h holding
	for b = b[1:]; len(b) > 0; {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<31-1 {
			return holding{}
		}
		b = b[n:]
		if h.lanes == nil {
			h.generation, h.lanes = int32(v), []int32{}
			continue
		}
		h.lanes = append(h.lanes, int32(v))
	}
	return h
}
