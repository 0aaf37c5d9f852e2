#!/bin/sh
# Prepare this machine and this clone: Debian packages, the virtual environment, the broker.
# As root it installs Debian packages; an ordinary user gets the same unpacked below .venv.
# Does only what is missing, so a second run takes a moment.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
say() { printf '[setup] %s\n' "$*"; }
fail() { printf '[setup] %s\n' "$*" >&2; exit 1; }

python=""
for each in python3.11 python3 python3.12 python3.13; do
    if [ -z "$python" ] && $each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$each
    fi
done
[ -n "$python" ] || fail "Python 3.11 or newer is missing. Install it: apt-get install python3"

has_broker() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null || [ -x "$venv/mosquitto/usr/sbin/mosquitto" ]
}
has_ensurepip() { $python -c 'import ensurepip' 2>/dev/null; }

# As root: install packages, and start no service of theirs (Debian's policy-rc.d says whether one may).
install_packages() {
    say "installing Debian packages: $*"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy && chmod +x $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        fail "The Debian packages could not be installed. Ask for them: apt-get install $*"
    case "$*" in *mosquitto*) systemctl disable mosquitto 2>/dev/null || true ;; esac
}

# As an ordinary user: fetch a package with all that it needs and this machine lacks, and unpack it.
unpack_package() { # package, folder
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        fail "The package $1 is needed and this is no Debian: install it with the system's own means"
    say "fetching the Debian package $1 (no root needed)"
    apt=$(mktemp -d)
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/debs" "$2"
    own="-o Dir::State::lists=$apt/lists -o Dir::Cache=$apt -o Dir::Cache::archives=$apt/archives"
    # shellcheck disable=SC2086
    apt-get $own -qq update &&
        needed=$(apt-get $own -s install --no-install-recommends "$1" | sed -n 's/^Inst \([^ ]*\).*/\1/p') &&
        (cd "$apt/debs" && apt-get $own -qq download $needed) ||
        fail "The package $1 could not be fetched. Ask for it: apt-get install $1"
    for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$2"; done
    rm -rf "$apt"
}

if [ "$(id -u)" = 0 ]; then
    missing=""
    has_ensurepip || missing="python3-venv"
    has_broker || missing="$missing mosquitto"
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_packages $missing
fi

# A clone that was moved or copied has programs that still name the old place.
if ! grep -qsF "$(pwd -P)/$venv/" $venv/bin/pip; then
    say "making the virtual environment $venv"
    rm -rf $venv
    if has_ensurepip; then
        $python -m venv $venv
    else
        $python -m venv --without-pip $venv
        unpack_package python3-pip-whl $venv/pip
        wheel=$(ls $venv/pip/usr/share/python-wheels/pip-*.whl)
        $venv/bin/python "$wheel/pip" install --quiet --no-index "$wheel"
    fi
fi

has_broker || unpack_package mosquitto $venv/mosquitto

wanted=$(cat requirements.lock pyproject.toml | sha256sum)
if [ "$wanted" != "$(cat $venv/installed 2>/dev/null)" ]; then
    say "installing the Python packages of requirements.lock"
    $venv/bin/pip install --disable-pip-version-check --require-hashes -r requirements.lock
    $venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$wanted" > $venv/installed
    say "ready"
fi
