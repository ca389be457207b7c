#!/usr/bin/env bash
# need.sh COMMAND PACKAGE...: installs Debian packages unless the command is installed.
set -euo pipefail
command=$1
shift

if command -v "$command" >/dev/null; then
	exit
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]+"${as_root[@]}"}" true 2>/dev/null; then
	echo "$command is missing: install it (apt-get install $*, brew install ${1%-server}) and try again" >&2
	exit 1
fi
"${as_root[@]+"${as_root[@]}"}" apt-get update -qq
"${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive \
	apt-get install -qq -y --no-install-recommends "$@" >&2
command -v "$command" >/dev/null
