#!/usr/bin/env bash
# bench.sh MODULE NAME REGEXP COUNT BENCHSTAT: runs a module's benchmarks COUNT times, each for BENCHTIME (0.3s), and
# compares their implementations, the first of which is the floor. Output is kept in .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
module=$1 name=$2 regexp=$3 count=$4 benchstat=$5

mkdir -p .bench
raw=$PWD/.bench/$name.txt stat=$PWD/.bench/$name.stat.txt binary=$PWD/.bench/$name.test
(cd "$module" && go test -c -o "$binary" .)

# Round by round, not with -count, which repeats each benchmark in a row: a busy moment of the machine is to hit all
# implementations alike.
: >"$raw"
for ((round = 0; round < count; round++)); do
	(cd "$module" && "$binary" -test.run '^$' -test.bench "$regexp" -test.benchtime "${BENCHTIME:-0.3s}" -test.benchmem -test.timeout 1h) | tee -a "$raw"
done

# A table for each benchmark: they have floors of their own.
: >"$stat"
for benchmark in $(awk '/^Benchmark/ { sub(/^Benchmark/, ""); sub(/[\/ \t-].*/, ""); if (!seen[$0]++) print }' "$raw"); do
	{
		echo "== $benchmark"
		go run "$benchstat" -col /impl -filter ".name:$benchmark" "$raw"
		echo
	} | tee -a "$stat"
done
