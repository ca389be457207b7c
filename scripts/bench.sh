#!/usr/bin/env bash
# bench.sh MODULE NAME REGEXP COUNT BENCHSTAT: runs a module's benchmarks COUNT times (rounds.sh), and compares their
# implementations, the first of which is the floor. Output is kept in .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$2 benchstat=$5
raw=.bench/$name.txt stat=.bench/$name.stat.txt
scripts/rounds.sh "$1" "$name" "$3" "$4"

# A table for each benchmark: they have floors of their own.
: >"$stat"
for benchmark in $(scripts/ran.sh "$raw"); do
	{
		echo "== $benchmark"
		go run "$benchstat" -col /impl -filter ".name:$benchmark" "$raw"
		echo
	} | tee -a "$stat"
done
