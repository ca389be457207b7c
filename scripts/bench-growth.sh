#!/usr/bin/env bash
# bench-growth.sh COUNT: measures COUNT times how costs grow (rounds.sh), writes docs/growth.svg, and prints the table.
set -euo pipefail
cd "$(dirname "$0")/.."
count=$1
scripts/rounds.sh benchmarks growth '^BenchmarkGrowth$' "$count"
go run ./benchmarks/plot <.bench/growth.txt >.bench/growth.svg
mv .bench/growth.svg docs/growth.svg # in one step, so that it is never incomplete
go run ./benchmarks/plot -table <.bench/growth.txt | tee .bench/growth.md
