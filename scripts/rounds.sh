#!/usr/bin/env bash
# rounds.sh MODULE NAME REGEXP COUNT: runs a module's benchmarks, except those that SKIP matches, COUNT times, each for
# BENCHTIME (0.3s). The output is written to .bench/NAME.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
module=$1 name=$2 regexp=$3 count=$4

mkdir -p .bench
raw=$PWD/.bench/$name.txt binary=$PWD/.bench/$name.test
(cd "$module" && go test -c -o "$binary" .)

# It runs all benchmarks in each round. -count would repeat each benchmark in a row, so that a busy moment of the machine
# would affect some implementations only.
: >"$raw"
for ((round = 0; round < count; round++)); do
	(cd "$module" && "$binary" -test.run '^$' -test.bench "$regexp" -test.skip "${SKIP:-}" -test.benchtime "${BENCHTIME:-0.3s}" -test.benchmem -test.timeout 1h) | tee -a "$raw"
done
