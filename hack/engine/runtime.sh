#!/usr/bin/env bash
# An OCI runtime for machines that lack CAP_SYS_RESOURCE: `--privileged` would ask for it and fail,
# so it is taken out of the container's specification before runc sees it.
set -euo pipefail
file='' last=''
for argument in "$@"; do
  case $last in
    --bundle | -b) file=$argument/config.json ;;
    --process | -p) file=$argument ;;
  esac
  case $argument in
    --bundle=*) file=${argument#*=}/config.json ;;
    --process=*) file=${argument#*=} ;;
  esac
  last=$argument
done
if [ -n "$file" ] && [ -f "$file" ]; then
  sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"
fi
exec runc "$@"
