#!/usr/bin/env bash
# fuzz.sh FUZZTIME: runs every fuzz target of every module for FUZZTIME.
set -euo pipefail
cd "$(dirname "$0")/.."
fuzztime=$1

# A separate fuzz cache, which is deleted when it has grown large: important inputs are in testdata/fuzz.
cache=$PWD/.fuzz
mkdir -p "$cache"
if [ "$(du -sm "$cache" | cut -f1)" -gt 64 ]; then
	rm -rf "$cache"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz PACKAGE TARGET
fuzz() {
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x "$1" -args -test.fuzzcachedir="$cache/$1" 2>&1 | tee "$log"; then
		return
	fi
	# Before Go 1.27 a target may fail because it reached its own deadline (golang/go#75804). A real failure writes an input.
	if grep -q '^ *context deadline exceeded$' "$log" && ! grep -q -e 'Failing input' -e '^ *panic:' "$log"; then
		echo "$2: it only reached its deadline, which is no failure"
		return
	fi
	return 1
}

# The list has the names of a package's targets, followed by the line of the package.
listed=$(go test -list '^Fuzz' work)
targets=$(awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }' <<<"$listed")
if [ -z "$targets" ]; then
	echo "no fuzz targets found" >&2
	exit 1
fi

failed=()
while read -r package target; do
	echo "== $target in $package"
	fuzz "$package" "$target" </dev/null || failed+=("$target")
done <<<"$targets"

if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}" >&2
	exit 1
fi
echo "$(wc -l <<<"$targets" | tr -d ' ') fuzz targets, $fuzztime each: nothing found"
