package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// event is one made-up event and what its record needs.
type event struct {
	json []byte
	key  string
	time int64 // Unix milliseconds
}

// generate makes sends of accounts by Zipf's law over a day that ended an hour ago,
// each from the account's own address to people it knows. The same numbers give the
// same events.
func generate(n, accounts int) []event {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 8, uint64(accounts-1))
	start := time.Now().UTC().Truncate(time.Hour).Add(-25 * time.Hour)
	step := 24 * time.Hour / time.Duration(n)
	out := make([]event, n)
	for i := range out {
		a := int(zipf.Uint64())
		if i < accounts {
			a = i // everybody is there once
		}
		at := start.Add(time.Duration(i) * step)
		out[i] = send(fmt.Sprintf("b%08d", i), at, a, address(a), fmt.Sprintf("c%d@mail%d.example", r.IntN(300), a%5000))
	}
	return out
}

func address(a int) string { return fmt.Sprintf("10.%d.%d.%d", a>>16&255, a>>8&255, a&255) }

func send(id string, at time.Time, a int, ip, to string) event {
	account := fmt.Sprintf("acct-%06d", a)
	return event{
		json: fmt.Appendf(nil, `{"id":%q,"time":%q,"type":"send","account":%q,"credential":"key-%d-1","channel":"api","ip":%q,"sender":"hello@shop%d.example","recipients":[%q],"message_id":"m%s@shop%d.example","size":20480}`,
			id, at.Format("2006-01-02T15:04:05.000Z"), account, a, ip, a, to, id, a),
		key: "account:" + account, time: at.UnixMilli(),
	}
}

func all(data []event) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, e := range data {
			if !yield(e.json) {
				return
			}
		}
	}
}
