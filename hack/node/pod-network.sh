#!/usr/bin/env bash
# Gives the pods of this node their addresses, and routes to the pods of every other node.
set -euo pipefail
account=/var/run/secrets/kubernetes.io/serviceaccount
api=https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT

nodes() {
  curl -sS --fail --max-time 5 --cacert $account/ca.crt \
    --oauth2-bearer "$(cat $account/token)" "$api/api/v1/nodes"
}

configure() { # POD_RANGE: the container runtime takes the file up when it is complete
  jq -n --arg range "$1" '{cniVersion: "1.0.0", name: "pods", plugins: [
    {type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true,
     ipam: {type: "host-local", ranges: [[{subnet: $range}]], routes: [{dst: "0.0.0.0/0"}]}},
    {type: "portmap", capabilities: {portMappings: true}}]}' > /cni/.pods
  mv /cni/.pods /cni/10-pods.conflist
}

masquerade() { # POD_RANGE: what leaves the pods' network does so under the node's address
  local rule=(POSTROUTING -s "$1" ! -d 10.244.0.0/16 -j MASQUERADE)
  iptables -t nat -C "${rule[@]}" 2> /dev/null || iptables -t nat -A "${rule[@]}"
}

while :; do
  if list=$(nodes); then
    own=$(jq -r --arg node "$NODE" \
      '.items[] | select(.metadata.name == $node) | .spec.podCIDR // empty' <<< "$list")
    if [ -n "$own" ]; then
      [ -f /cni/10-pods.conflist ] || configure "$own"
      masquerade "$own"
    fi
    jq -r --arg node "$NODE" '.items[] | select(.metadata.name != $node and .spec.podCIDR)
      | [.spec.podCIDR, (.status.addresses[] | select(.type == "InternalIP").address)]
      | join(" ")' <<< "$list" | while read -r range address; do
      ip route replace "$range" via "$address"
    done
    sleep 5
  else
    sleep 0.5
  fi
done
