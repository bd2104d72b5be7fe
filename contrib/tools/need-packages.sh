#!/bin/sh
# need-packages.sh PACKAGE...: makes sure that these Debian packages are installed; as root, installs missing ones.
# SPDX-License-Identifier: Apache-2.0

set -u

quietly="$(dirname "$0")/quietly.sh"
policy=/usr/sbin/policy-rc.d

missing=
for package in "$@"; do
	state="$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)"
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "This needs the Debian packages$missing, and here is no apt-get. Run it on Debian, in a container for instance." >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "This needs the Debian packages$missing. Only root may install them:" >&2
	echo "    apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# Debian starts services when it installs them, but CTDB must not run on this machine itself. Exit status 101 of this
# program forbids the start; if the file exists already, it is the administrator's and is not changed.
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
fi

echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
"$quietly" apt-get update || exit 1
# Unquoted: one word for each package.
"$quietly" apt-get install -y --no-install-recommends $missing
