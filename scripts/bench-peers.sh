#!/usr/bin/env bash
# bench-peers.sh REGEXP COUNT BENCHSTAT: runs the comparison with other libraries COUNT times (rounds.sh), in one process, and
# prints one table with benchstat's medians and their ratios to the floors. benchstat's own tables, with p-values, bytes and
# allocations, are written to .bench/peers.stat.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
regexp=$1 count=$2 benchstat=$3
raw=.bench/peers.txt stat=.bench/peers.stat.txt csv=.bench/peers.csv
SKIP='^BenchmarkGrowth$' scripts/rounds.sh benchmarks peers "$regexp" "$count"

# Each benchmark is compared by itself, with its own floor. Warnings about too few samples are printed for the first only.
: >"$stat"
: >"$csv"
for benchmark in $(scripts/ran.sh "$raw"); do
	go run "$benchstat" -col /impl -filter ".name:$benchmark" "$raw" >>"$stat"
	case $benchmark in
	HitRatio) unit='"hit%"' ;;
	Memory) unit=B/entry ;;
	*) unit=sec/op ;;
	esac
	go run "$benchstat" -col /impl -filter ".name:$benchmark .unit:$unit" -format csv "$raw" >>"$csv" 2>/dev/null
done
awk -f scripts/ratios.awk "$csv" | tee .bench/peers.md
