#!/bin/sh
# build.sh PYTHON DIRECTORY: builds the Debian package into DIRECTORY, with the pip of PYTHON; says its name at the end.
#
# The package is made for the machine's own /usr/bin/python3, and brings the Python packages that it needs in a
# directory of its own: Debian's are older, and belong to others. What is compiled in them (msgpack) is for that
# version of Python alone, but can do without: so a later python3 serves as well.
# DEBEMAIL and DEBFULLNAME, as for other Debian tools, name the maintainer.
# SPDX-License-Identifier: Apache-2.0

set -eu
umask 022

here="$(cd "$(dirname "$0")" && pwd)"
top="$(cd "$here/../.." && pwd)"
python="$1"
directory="$2"
system_python=/usr/bin/python3

if ! command -v dpkg-deb >/dev/null || ! [ -x "$system_python" ]; then
	echo "Building a Debian package needs Debian or Ubuntu: dpkg-deb and $system_python" >&2
	exit 1
fi
if ! "$system_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	echo "$system_python is $("$system_python" --version 2>&1), but the package needs Python 3.11 or later" >&2
	exit 1
fi

tree="$(mktemp -d)"
trap 'rm -rf "$tree"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

modules="$tree/usr/lib/ctdb-eventd/python"
documents="$tree/usr/share/doc/ctdb-eventd"
mkdir -p "$modules" "$documents" "$tree/DEBIAN" "$tree/usr/lib/ctdb-eventd/bin" "$tree/usr/bin" "$tree/usr/sbin"
chmod 755 "$tree"

"$top/contrib/tools/quietly.sh" "$python" -m pip --disable-pip-version-check --python "$system_python" \
	install --no-compile --target "$modules" "$top[metrics]"
# Programs that would start with the wrong Python, and where the sources were on this machine.
rm -rf "$modules/bin"
find "$modules" -name direct_url.json -exec rm -f {} +
find "$modules" -depth -name __pycache__ -exec rm -rf {} +

# launcher FILE MODULE ARGUMENTS
launcher()
{
	sed -e "s|@MODULE@|$2|" -e "s|@ARGUMENTS@|$3|" "$here/launcher.in" >"$tree$1"
	chmod 755 "$tree$1"
}
daemon=/usr/lib/ctdb-eventd/bin/ctdb-eventd
launcher "$daemon" ctdb_eventd.cli ""
launcher /usr/bin/ctdb-event ctdb_event.cli ""
launcher /usr/bin/ctdb-node ctdb_node.cli ""
launcher /usr/sbin/ctdb-eventd-install ctdb_eventd_install.cli "program=\"$daemon\""

share="$tree/usr/share"
for program in ctdb-event ctdb-node; do
	install -D -m 644 "$top/contrib/completion/$program.bash" "$share/bash-completion/completions/$program"
	install -D -m 644 "$top/contrib/completion/_$program" "$share/zsh/vendor-completions/_$program"
	install -D -m 644 "$top/contrib/completion/$program.fish" "$share/fish/vendor_completions.d/$program.fish"
done
for page in ctdb-event.1 ctdb-eventd.8 ctdb-node.1; do
	mkdir -p "$share/man/man${page##*.}"
	gzip -9n <"$top/contrib/man/$page" >"$share/man/man${page##*.}/$page.gz"
done

cp "$here/copyright" "$top/README.md" "$top/CHANGELOG.md" "$documents/"
cp -R "$top/docs" "$documents/docs"
install -D -m 644 "$top/contrib/systemd/ctdb-eventd.conf" "$documents/ctdb.service.d/ctdb-eventd.conf"
# an example and no unit of this package, for most nodes have ctdbd
sed 's|/opt/ctdb-eventd/.venv/bin/|/usr/bin/|' "$top/contrib/systemd/ctdb-node.service" >"$documents/ctdb-node.service"
chmod -R u=rwX,go=rX "$tree/usr"

version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$top/ctdb_eventd/__init__.py")"
architecture=all
[ -z "$(find "$modules" -name '*.so')" ] || architecture="$(dpkg --print-architecture)"
sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" \
	-e "s|@MAINTAINER@|${DEBFULLNAME:-ctdb-eventd} <${DEBEMAIL:-root@localhost}>|" \
	-e "s|@SIZE@|$(du -sk "$tree/usr" | cut -f 1)|" "$here/control.in" >"$tree/DEBIAN/control"
cp "$here/postinst" "$here/prerm" "$tree/DEBIAN/"
chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
(cd "$tree" && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)

mkdir -p "$directory"
package="$directory/ctdb-eventd_${version}_$architecture.deb"
# xz is what every dpkg can read.
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
echo "$package"
