package local

// countersFor returns the number of access counters, by which ristretto decides what to admit. ristretto halves all of them
// whenever it has counted as many reads as there are counters, so a small cache needs many for each entry to learn which
// keys are read often. With a cost function the number of entries isn't known.
func countersFor(maxCost int64, costed bool) int64 {
	const (
		least      = 1_000
		most       = 13_900_000 // which take 48 MB
		perSmall   = 40         // counters for each entry of a small cache ...
		smallLimit = 1_700_000  // ... up to this number, which takes 6 MB
		perLarge   = 8          // counters for each entry of a large cache
	)
	if costed {
		return countersInMemoryOf(min(max(maxCost, least), 1_000_000))
	}
	entries := min(maxCost, most)
	return countersInMemoryOf(min(max(min(perSmall*entries, smallLimit), perLarge*entries, least), most))
}

// countersInMemoryOf returns the largest number of counters that takes no more memory than n. ristretto has four rows of
// half a byte for each counter and, for an error rate of one in a hundred, 9.6 bits of a Bloom filter. It makes the sizes of
// both powers of two.
func countersInMemoryOf(n int64) int64 {
	const bloomBits = 9.6
	row, bloom := int64(1), 1.0
	for row < n {
		row *= 2
	}
	for bloom < bloomBits*float64(n) {
		bloom *= 2
	}
	return min(row, int64(bloom/bloomBits))
}

// readBatchFor returns how many reads ristretto gathers before it counts them. It drops whole batches when reads come faster
// than its goroutine counts them. That happens less with longer batches, which a small cache can't wait for.
func readBatchFor(maxCost int64) int64 { return min(max(maxCost/16, 64), 512) }
