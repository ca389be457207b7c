#!/usr/bin/env bash
# bench.sh MODULE NAME REGEXP COUNT BENCHSTAT: runs a module's benchmarks COUNT times (rounds.sh), and compares their
# implementations. The first one is the floor. The output is also written to .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$2 benchstat=$5
raw=.bench/$name.txt stat=.bench/$name.stat.txt
scripts/rounds.sh "$1" "$name" "$3" "$4"

# Each benchmark has a table with its own floor.
: >"$stat"
for benchmark in $(scripts/ran.sh "$raw"); do
	{
		echo "== $benchmark"
		go run "$benchstat" -col /impl -filter ".name:$benchmark" "$raw"
		echo
	} | tee -a "$stat"
done
