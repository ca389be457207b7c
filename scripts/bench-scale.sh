#!/usr/bin/env bash
# bench-scale.sh REGEXP COUNT: measures COUNT times what it costs Redis that many processes learn of changes (rounds.sh), writes
# docs/scale.svg, and the table into docs/growth.md; with a COUNT of 0 it writes those of the last measurement again. With a
# REGEXP, other than ".", it measures all cells that it matches, such as 'names=one/rate=100$', and prints their table only.
set -euo pipefail
cd "$(dirname "$0")/.."
regexp=$1 count=$2 table=.bench/scale.md
benchmark='^BenchmarkScale$'
if [ "$regexp" != . ]; then
	scripts/rounds.sh benchmarks/scale scale-some "$benchmark/$regexp" "$count"
	go run ./benchmarks/plot -scale -table <.bench/scale-some.txt
	exit
fi
# All cells would take twice as long. The table and the picture show nothing of these:
if [ "$count" -gt 0 ]; then
	SKIP="$benchmark/names=one/rate=(100|10000)\$/trackers=(1|16|256)\$|$benchmark/names=(own|other)/rate=(100|10000)\$" \
		scripts/rounds.sh benchmarks/scale scale "$benchmark" "$count"
fi
go run ./benchmarks/plot -scale <.bench/scale.txt >.bench/scale.svg
go run ./benchmarks/plot -scale -table <.bench/scale.txt | tee "$table"
awk -v table="$table" '
	/^<!-- bench-scale -->$/ { print; print ""; while ((getline line <table) > 0) print line; print ""; inside = 1 }
	/^<!-- \/bench-scale -->$/ { inside = 0 }
	!inside && !/^<!-- bench-scale -->$/' docs/growth.md >.bench/growth.md
mv .bench/growth.md docs/growth.md # in one step, so that none is ever incomplete
mv .bench/scale.svg docs/scale.svg
