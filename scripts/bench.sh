#!/usr/bin/env bash
# bench.sh MODULE NAME REGEXP COUNT BENCHSTAT: runs a module's benchmarks and compares their implementations, the first
# of which is the floor. Output is kept in .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
module=$1 name=$2 regexp=$3 count=$4 benchstat=$5

mkdir -p .bench
raw=$PWD/.bench/$name.txt
(cd "$module" && go test -run '^$' -bench "$regexp" -benchmem -count "$count" -timeout 2h . | tee "$raw")
go run "$benchstat" -col /impl "$raw" | tee ".bench/$name.stat.txt"
