#!/usr/bin/env bash
# server.sh IMAGE: gets the server of an image of Redis or Valkey from Docker, and prints its path for TIERCACHE_REDIS_SERVER.
set -euo pipefail
cd "$(dirname "$0")/.."
image=$1
dir=$PWD/.servers/${image//[:\/]/-}

if [ ! -x "$dir/server" ]; then
	rm -rf "$dir"
	mkdir -p "$dir"
	container=$(docker create "$image")
	docker export "$container" | tar -x -C "$dir" --wildcards 'usr/lib/*-linux-gnu' 'usr/local/bin/*-server'
	docker rm "$container" >/dev/null
	# One of the names may be a link to the other.
	for program in "$dir"/usr/local/bin/*-server; do
		[ -L "$program" ] || ln -sf "$program" "$dir/program"
	done
	# The image's own dynamic linker and libraries: those of this system may be too old for the server.
	cat >"$dir/server" <<-'END'
		#!/bin/sh
		dir=${0%/*}
		exec "$dir"/usr/lib/*-linux-gnu/ld-linux-*.so.* --library-path "$(echo "$dir"/usr/lib/*-linux-gnu)" "$dir/program" "$@"
	END
	chmod +x "$dir/server"
fi
"$dir/server" --version >&2
echo "$dir/server"
