package kafka

import "testing"

// The vectors are those of UtilsTest.testMurmur2 in Apache Kafka's Java client.
func TestPartitionIsJavas(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
		if got, want := Partition([]byte(key), 64), (want&0x7fffffff)%64; got != want {
			t.Errorf("Partition(%q, 64) = %d, want %d", key, got, want)
		}
	}
}

func BenchmarkPartition(b *testing.B) {
	key := []byte("account:acct-0123456789")
	b.ReportAllocs()
	for b.Loop() {
		Partition(key, 64)
	}
}
