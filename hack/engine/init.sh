#!/usr/bin/env bash
# First process of the engine's own network, mount and process namespaces: containerd and dockerd.
# When it ends, the kernel ends and unmounts everything in them, so nothing has to be hunted for.
# usage: init.sh RUN_FOLDER STORE_FOLDER
set -euo pipefail
run=$1 store=$2

# The caller writes down our process id and then says "go". An end of file means it died before
# that, and nobody would ever find us again.
read -r word
[ "$word" = go ]

# A private /run and a private, writable view of /etc: host names and CAs given to the engine
# never reach the machine's own files.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/etc/upper /run/etc/work /run/lock
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
ip link set lo up

# the machine's own containerd, shim and runc; newer ones built for the nodes do not fit together
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
containerd --config "$run/containerd.toml" > "$run/containerd.log" 2>&1 < /dev/null &
containerd=$!
until [ -S "$run/containerd.sock" ]; do
  kill -0 "$containerd"
  sleep 0.1
done

runtime=()
if [ -n "${CAIS_RUNTIME:-}" ]; then
  runtime=(--add-runtime "cais=$CAIS_RUNTIME" --default-runtime cais)
fi
dockerd --data-root "$store/docker" --exec-root "$run/docker" --pidfile "$run/dockerd.pid" \
  --host "unix://$run/docker.sock" --containerd "$run/containerd.sock" \
  --config-file "$run/daemon.json" --storage-driver overlay2 --oom-score-adjust 0 \
  --cgroup-parent /cais "${runtime[@]}" > "$run/dockerd.log" 2>&1 < /dev/null &
dockerd=$!

trap 'kill "$dockerd"; wait "$dockerd" || true; exit 0' TERM
wait -n "$containerd" "$dockerd" || true
exit 1
