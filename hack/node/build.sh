#!/usr/bin/env bash
# Makes a kind node image where none can be pulled: Debian, the files that kind's own image has,
# our programs, and the control plane's images already in the node's store.
# Runs in mount and process namespaces of its own, which clean up after it however it ends.
# usage: build.sh TAG; reads WORK, PROGRAMS, KIND_FILES, KUBERNETES, DEBS, DOCKER_HOST
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tag=$1
root=$WORK/root
: "${PROGRAMS:?}" "${KIND_FILES:?}" "${KUBERNETES:?}" "${DEBS:?}"

say() { printf '[node image %4d s] %s\n' "$SECONDS" "$*" >&2; }

debian() { # the node's Debian, with what kind's own image installs
  mkdir -p "$DEBS"
  debootstrap --variant=minbase --cache-dir="$DEBS" \
    --include=systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,pigz,e2fsprogs,xfsprogs,bash,ca-certificates,curl,jq,procps,python3 \
    trixie "$root"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/log/*.log
}

kind_files() { # what turns Debian into something that `kind create cluster` accepts
  cp -r "$KIND_FILES/etc/." "$root/etc/"
  mkdir -p "$root/kind/manifests"
  cp -r "$KIND_FILES/kind/." "$root/kind/"
  cp "$KIND_FILES"/usr/local/bin/* "$root/usr/local/bin/"
  # files of a Go module are read-only
  chmod -R u+w,a+rX "$root"/etc/{systemd,containerd,default,sysctl.d,crictl.yaml} "$root/kind"
  chmod 755 "$root"/usr/local/bin/* "$root"/kind/bin/*
  local units=$root/usr/lib/systemd/system own=$root/etc/systemd/system
  rm -rf "$own"/*.wants "$units"/{multi-user,local-fs,basic}.target.wants/* \
    "$units"/sockets.target.wants/*{udev,initctl}* \
    "$units"/sysinit.target.wants/systemd-tmpfiles-setup.service
  mkdir -p "$own/multi-user.target.wants" "$root"/etc/{kubernetes/manifests,cni/net.d,containerd/certs.d}
  for unit in kubelet containerd undo-mount-hacks; do
    ln -s "/etc/systemd/system/$unit.service" "$own/multi-user.target.wants/"
  done
  ln -s /dev/null "$own/systemd-binfmt.service"
  ln -sf /usr/lib/systemd/systemd "$root/sbin/init"
  echo ReadKMsg=no >> "$root/etc/systemd/journald.conf"
}

programs() {
  local plugin name
  install -D -t "$root/usr/local/bin" "$PROGRAMS"/{containerd,containerd-shim-runc-v2,ctr}
  install -D -t "$root/usr/local/sbin" "$PROGRAMS/runc"
  install -D -t "$root/usr/bin" "$PROGRAMS"/{kubeadm,kubectl,kubelet}
  for plugin in "$PROGRAMS"/cni-*; do
    name=$(basename "$plugin")
    install -D "$plugin" "$root/opt/cni/bin/${name#cni-}"
  done
  # as kind does: containers see no rlimits of the engine, and a product id of their own
  chroot "$root" ctr oci spec | jq 'del(.process.rlimits)
    | .hooks.createContainer = [{path: "/kind/bin/mount-product-files.sh"}]' \
    > "$WORK/cri-base.json"
  install -m 644 "$WORK/cri-base.json" "$root/etc/containerd/cri-base.json"
  printf %s "$KUBERNETES" > "$root/kind/version"
}

manifests() { # what kind applies to a new cluster
  {
    cat "$here/pod-network.yaml"
    printf -- '---\napiVersion: v1\nkind: ConfigMap\n'
    printf 'metadata: {name: pod-network, namespace: kube-system}\ndata:\n  run.sh: |\n'
    sed 's/^/    /' "$here/pod-network.sh"
  } | sed "s/@KUBERNETES@/$KUBERNETES/" > "$root/kind/manifests/default-cni.yaml"
  cp "$here/../loopvolumes/storage-class.yaml" "$root/kind/manifests/default-storage.yaml"
}

image() { # NAME BASE PROGRAM...: an image that runs the first program
  local name=$1 base=$2 context
  shift 2
  context=$(mktemp -d "$WORK/image.XXXXXX")
  cp -L "$@" "$context/"
  {
    printf 'FROM %s\nCOPY . /usr/local/bin/\n' "$base"
    printf 'ENTRYPOINT ["/usr/local/bin/%s"]\n' "$(basename "$1")"
  } > "$WORK/Dockerfile"
  docker build -q -t "$name" -f "$WORK/Dockerfile" "$context" > "$WORK/build.log" 2>&1 || {
    cat "$WORK/build.log" >&2
    exit 1
  }
  echo "$name" >> "$WORK/images"
}

wanted() { "$PROGRAMS/kubeadm" config images list --kubernetes-version "$KUBERNETES" 2> /dev/null | grep "/$1:"; }

control_plane() { # images under the names that kubeadm asks for, all on one shared layer
  local land=cais-node-userland:$KUBERNETES
  mkdir -p "$root/empty"
  tar -C "$root" -c --exclude=./usr/lib/systemd --exclude='./usr/bin/kube*' --exclude=./opt \
    --exclude='./usr/local/*' --exclude=./kind --exclude='./var/*' . | docker import - "$land" > /dev/null
  for component in kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns; do
    image "$(wanted $component)" "$land" "$PROGRAMS/$component"
  done
  (cd "$here/pause" && CGO_ENABLED=0 GOFLAGS='' go build -o "$WORK/pause" main.go)
  image "$(wanted pause)" scratch "$WORK/pause"
  local sandbox # containerd may name another version of it than kubeadm
  sandbox=$(sed -n 's/^ *sandbox_image = "\(.*\)"/\1/p' "$root/etc/containerd/config.toml" | head -n 1)
  if [ "$sandbox" != "$(wanted pause)" ]; then
    docker tag "$(wanted pause)" "$sandbox"
    echo "$sandbox" >> "$WORK/images"
  fi
}

preload() { # put the images into the node's own store, by the containerd that is going to use it
  mapfile -t names < "$WORK/images"
  docker save -o "$WORK/images.tar" "${names[@]}"
  cat > "$WORK/preload.toml" << TOML
version = 3
root = "$root/var/lib/containerd"
state = "$WORK/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[grpc]
  address = "$WORK/preload.sock"
TOML
  "$PROGRAMS/containerd" --config "$WORK/preload.toml" > "$WORK/preload.log" 2>&1 &
  local daemon=$!
  until [ -S "$WORK/preload.sock" ]; do
    kill -0 $daemon
    sleep 0.1
  done
  "$PROGRAMS/ctr" --address "$WORK/preload.sock" --namespace k8s.io images import \
    --label io.cri-containerd.pinned=pinned --all-platforms --no-unpack --digests "$WORK/images.tar"
  kill $daemon
  wait $daemon || true
  rm -rf "$root"/var/lib/containerd/tmpmounts
}

say "installing Debian"
debian > "$WORK/debootstrap.log" 2>&1 || { tail -n 20 "$WORK/debootstrap.log" >&2; exit 1; }
say "adding kind's files and the programs"
kind_files
say "building the control plane's images"
control_plane
programs
manifests
say "putting them into the node's store"
preload > "$WORK/import.log" 2>&1 || { tail -n 20 "$WORK/import.log" >&2; exit 1; }
say "importing $tag"
tar -C "$root" -c . | docker import -c 'ENV container=docker' \
  -c 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' - "$tag" > /dev/null
mapfile -t names < "$WORK/images"
docker rmi "${names[@]}" "cais-node-userland:$KUBERNETES" > /dev/null # they are on the node now
say "done"
