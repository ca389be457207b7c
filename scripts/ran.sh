#!/usr/bin/env bash
# ran.sh FILE: prints the names of the benchmarks that have results in a file.
set -euo pipefail
awk '/^Benchmark/ { sub(/^Benchmark/, ""); sub(/[\/ \t-].*/, ""); if (!seen[$0]++) print }' "$1"
