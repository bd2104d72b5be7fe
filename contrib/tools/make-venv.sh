#!/bin/sh
# make-venv.sh PYTHON DIRECTORY: creates a virtual environment with pip.
#
# Debian ships Python without ensurepip, so `python3 -m venv` fails until python3-venv is installed. As root this script
# installs that package. Otherwise, if PYTHON has pip, it uses that to install pip in the new environment. Otherwise, if
# there is apt-get, it downloads the package python3-pip-whl, which every user may do, and uses the pip in it in the
# same way, without installing anything outside the environment. Otherwise it prints what to do.
# SPDX-License-Identifier: Apache-2.0

set -u

python="$1"
venv="$2"
# Absolute, since it is called from elsewhere too.
quietly="$(cd "$(dirname "$0")" && pwd)/quietly.sh"

if ! command -v "$python" >/dev/null; then
	echo "There is no program $python. Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2
	exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
	echo "$python is $("$python" --version 2>&1), but Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2
	exit 1
fi

# Checking for the module is more reliable than trying: a failed attempt leaves an incomplete environment.
has_ensurepip()
{
	"$python" -c 'import venv; from ensurepip import bootstrap' 2>/dev/null
}

# The package for exactly this Python, such as python3.11-venv: python3-venv is only for the default one.
package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"

if ! has_ensurepip && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	echo "Installing $package"
	export DEBIAN_FRONTEND=noninteractive
	# Not an error in itself: this Python may not be Debian's; then there is no such package.
	"$quietly" apt-get update &&
		"$quietly" apt-get install -y --no-install-recommends "$package"
fi

# Installs pip in the environment by another pip: `bring_pip PYTHON-ARGUMENT...` has the arguments that run that one.
bring_pip()
{
	"$quietly" "$python" -m venv --clear --without-pip "$venv" &&
		"$quietly" "$python" "$@" --python "$venv/bin/python" install --disable-pip-version-check pip
}

# Downloads Debian's package of pip to $1 from this machine's archives, and prints the path of the pip in it. apt checks
# signatures as usual; it keeps its lists in $1, as only root can write those of the machine.
download_pip()
{
	mkdir -p "$1/lists/partial" "$1/archives/partial" || return 1
	apt="apt-get -o Dir::State=$1 -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=$1"
	# Unquoted: names of mktemp contain no blanks. Without translations, which are as large as everything else.
	"$quietly" $apt -o Acquire::Languages=none update &&
		(cd "$1" && "$quietly" $apt download python3-pip-whl && "$quietly" dpkg-deb -x python3-pip-whl_*.deb .) &&
		ls "$1"/usr/share/python-wheels/pip-*.whl
}

if has_ensurepip; then
	echo "Creating $venv with $("$python" --version 2>&1)"
	"$quietly" "$python" -m venv --clear "$venv" && exit 0
elif "$python" -m pip --version >/dev/null 2>&1; then
	echo "Creating $venv with $("$python" --version 2>&1), and fetching pip for it"
	bring_pip -m pip && exit 0
elif "$python" -c 'import venv' 2>/dev/null && command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
	echo "Creating $venv with $("$python" --version 2>&1), with the pip of Debian's package python3-pip-whl"
	scratch="$(mktemp -d /tmp/make-venv.XXXXXX)" || exit 1
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	wheel="$(download_pip "$scratch")" && bring_pip "$wheel/pip" && exit 0
	echo "That did not work, see above; with its module ensurepip $python needs none of it. As root:" >&2
	echo "    apt-get install $package" >&2
else
	echo "$python can't create a virtual environment: its module ensurepip is missing. On Debian or Ubuntu, as root:" >&2
	echo "    apt-get install $package" >&2
	exit 1
fi
# The incomplete environment has no pip, and must not be taken for a complete one next time.
[ ! -e "$venv/pyvenv.cfg" ] || rm -rf "$venv"
exit 1
