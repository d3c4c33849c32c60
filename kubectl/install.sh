#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs `kubectl cais` for the person who runs it, into a virtual environment of its own.
set -eu

usage() {
    cat <<'END'
usage: install.sh [--from SOURCE] [--bin FOLDER] [--home FOLDER] [--uninstall]

  --from SOURCE   a wheel of Cais, or the folder of its repository
                  (default: the repository that this script is in)
  --bin FOLDER    where the programs are linked; it has to be on the PATH (default: ~/.local/bin)
  --home FOLDER   where the virtual environment is made
                  (default: ~/.local/share/kubectl-cais, or below $XDG_DATA_HOME)
  --uninstall     take both away again

Needs Python 3.11 or newer with venv. Run it again to install another version.
END
}

fail() {
    echo "install.sh: $1" >&2
    exit "${2:-1}"
}

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
bin=$HOME/.local/bin
home=${XDG_DATA_HOME:-$HOME/.local/share}/kubectl-cais
uninstall=
while [ $# -gt 0 ]; do
    case $1 in
        --from | --bin | --home)
            [ $# -ge 2 ] || fail "$1 needs a value; see --help" 2
            case $1 in --from) source=$2 ;; --bin) bin=$2 ;; --home) home=$2 ;; esac
            shift 2
            ;;
        --uninstall) uninstall=yes && shift ;;
        -h | --help) usage && exit 0 ;;
        *) fail "unknown argument $1; see --help" 2 ;;
    esac
done

marker=$home/.kubectl-cais # only a folder that this script made is ever removed
if [ -e "$home" ] && [ ! -e "$marker" ]; then
    fail "$home is there and was not made by this script: name another folder with --home"
fi

if [ -n "$uninstall" ]; then
    for program in kubectl-cais kubectl_complete-cais; do
        if [ "$(readlink "$bin/$program" || true)" = "$home/bin/$program" ]; then
            rm "$bin/$program"
        fi
    done
    rm -rf "$home"
    echo "kubectl cais is gone from $bin and $home"
    exit 0
fi

[ -e "$source" ] || fail "$source is not there: --from names a wheel, or the repository" 2
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is missing or older than 3.11: name a newer one with PYTHON="
rm -rf "$home"
mkdir -p "$home" "$bin"
: >"$marker"
"$python" -m venv "$home" || fail "no virtual environment could be made in $home: install venv"
"$home/bin/pip" install --quiet --disable-pip-version-check "${source}[kubectl]" ||
    fail "pip could not install $source, its words are above"
for program in kubectl-cais kubectl_complete-cais; do
    ln -sf "$home/bin/$program" "$bin/$program"
done
"$bin/kubectl-cais" --version
case :$PATH: in
    *:"$bin":*) echo "try: kubectl cais status -A" ;;
    *) echo "put $bin on your PATH, then try: kubectl cais status -A" ;;
esac
