#!/usr/bin/env bash
# Makes a base image for the Dockerfile where none can be pulled: Debian's smallest, with Python.
# Runs in mount and process namespaces of its own, which clean up after it however it ends.
# usage: base.sh TAG; reads WORK, DEBS, DOCKER_HOST
set -euo pipefail
tag=$1
root=$WORK/root
mkdir -p "$DEBS"
debootstrap --variant=minbase --cache-dir="$DEBS" --include=python3,ca-certificates,tzdata \
  trixie "$root" > "$WORK/debootstrap.log" 2>&1 || {
  tail -n 20 "$WORK/debootstrap.log" >&2
  exit 1
}
# nothing here is ever installed, read by a person, or shown in another language
rm -rf "$root"/var/cache/{apt,debconf}/* "$root"/var/lib/apt/lists/* "$root"/var/log/* \
  "$root"/usr/share/{doc,man,locale,info,lintian,i18n,bash-completion}/* \
  "$root"/usr/lib/*/gconv "$root"/tmp/*
find "$root/usr/lib/python3" "$root"/usr/lib/python3.* -name __pycache__ -prune -exec rm -r {} +
# as the images of the language's own project do: its standard library starts fast when compiled
chroot "$root" python3 -m compileall -q /usr/lib/python3.13 > "$WORK/compile.log" 2>&1 || true
tar -C "$root" -c . | docker import -c 'CMD ["python3"]' - "$tag" > /dev/null
