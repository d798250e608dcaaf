# Sourced after machine.sh: a control server in a namespace of its own, and tailscaled as a service in
# the machines. Nothing leaves the namespaces: they have no default route.
#
#   control_up TAILNET_BIN     bridge, headscale; TAILNET_BIN is what tests/tailnet/build prints
#   control_wire NAME INDEX    a namespace for machine NAME, wired to the bridge
#   control_key                an auth key, reusable
#   control_cut NAME, control_heal   drops every packet of a machine, and lets them through again
#   hs ARGS...                 headscale's own command line
#   tailscaled_install NAME, tailscaled_login NAME   the service in a machine, and its login
#   tailscaled_acquainted NAME OTHER   waits until each of two machines reaches the other
#   control_end                for `trap`: no machine, server or namespace is left behind

CTL=thi$$
NET=10.77.1

hs() { nsenter --net="/run/netns/$CTL" "$TAILNET_BIN/headscale" -c "$MACHINES/headscale.yaml" "$@"; }

control_up() {
  TAILNET_BIN=$1
  [ -c /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200 || [ -c /dev/net/tun ]; }
  ip netns add "$CTL"
  ip -n "$CTL" link set lo up
  ip -n "$CTL" link add br0 type bridge forward_delay 0 stp_state 0
  ip -n "$CTL" addr add "$NET.1/24" dev br0
  ip -n "$CTL" link set br0 up
  cat >"$MACHINES/headscale.yaml" <<EOF
server_url: http://$NET.1:8080
listen_addr: $NET.1:8080
metrics_listen_addr: 127.0.0.1:9090
grpc_listen_addr: 127.0.0.1:50443
noise: { private_key_path: $MACHINES/noise.key }
prefixes: { v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential }
derp:
  server:
    enabled: true
    region_id: 999
    region_code: test
    region_name: offline test
    verify_clients: true
    stun_listen_addr: $NET.1:3478
    private_key_path: $MACHINES/derp.key
    automatically_add_embedded_derp_region: true
    ipv4: $NET.1
  urls: []
  paths: []
  auto_update_enabled: false
disable_check_updates: true
node: { expiry: 0, ephemeral: { inactivity_timeout: 30m } }
database: { type: sqlite, sqlite: { path: $MACHINES/headscale.db, write_ahead_log: true } }
log: { level: info, format: text }
policy: { mode: database }
dns: { magic_dns: true, base_domain: tail.test, override_local_dns: false, nameservers: { global: [] } }
unix_socket: $MACHINES/hs.sock
unix_socket_permission: "0700"
logtail: { enabled: false }
# For each of its commands; 5 s by default.
cli: { timeout: 60s }
# The defaults batch changes for most of a second.
tuning: { node_store_batch_timeout: 20ms, batch_change_delay: 50ms }
EOF
  HOME=$MACHINES nsenter --net="/run/netns/$CTL" "$TAILNET_BIN/headscale" -c "$MACHINES/headscale.yaml" serve \
    >>"$MACHINES/headscale.log" 2>&1 </dev/null &
  HEADSCALE=$!
  disown "$HEADSCALE"
  wait_for 30 "headscale answers" hs users list
  hs users create alice >/dev/null
}

control_wire() {
  local ns=$CTL-$1
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip link add "v$2" netns "$CTL" type veth peer name eth0 netns "$ns"
  ip -n "$CTL" link set "v$2" master br0 up
  ip -n "$ns" addr add "$NET.$((10 + $2))/24" dev eth0
  ip -n "$ns" link set eth0 up
}

control_key() { hs preauthkeys create --reusable -e 24h -u 1 -o json | sed -n 's/.*"key": *"\([^"]*\)".*/\1/p'; }

# On the bridge, so that the machine notices nothing but silence.
control_cut() {
  local address=$NET.$((10 + $2))
  nsenter --net="/run/netns/$CTL" nft -f - <<EOF
table bridge cut {
  chain forward { type filter hook forward priority 0; ip saddr $address drop; ip daddr $address drop; }
  chain input { type filter hook input priority 0; ip saddr $address drop; }
  chain output { type filter hook output priority 0; ip daddr $address drop; }
}
EOF
}
control_heal() { nsenter --net="/run/netns/$CTL" nft delete table bridge cut; }

# What every tailscaled needs here, where the relay has no certificate and nothing leads out.
TS_ENVIRONMENT="TS_DEBUG_USE_DERP_HTTP=true TS_NO_LOGS_NO_SUPPORT=true TS_PANIC_IF_HIT_MAIN_CONTROL=1 TS_DISABLE_PORTMAPPER=1"

tailscaled_install() {
  local name=$1
  cp "$TAILNET_BIN/tailscaled" "$MACHINES/$name/share/"
  machine "$name" sh -c 'cp /share/tailscaled /usr/sbin/tailscaled && ln -sf /usr/sbin/tailscaled /usr/bin/tailscale'
  cat >"$MACHINES/$name/share/tailscaled.service" <<U
[Unit]
Description=tailscaled
[Service]
# This tailscaled is built without telling systemd when it is ready.
Type=exec
Environment=$TS_ENVIRONMENT
ExecStart=/usr/sbin/tailscaled --no-logs-no-support --state=/var/lib/tailscale/tailscaled.state --socket=/run/tailscale/tailscaled.sock --port=41641
Restart=on-failure
RuntimeDirectory=tailscale
RuntimeDirectoryMode=0755
StateDirectory=tailscale
[Install]
WantedBy=multi-user.target
U
  machine "$name" cp /share/tailscaled.service /etc/systemd/system/
  machine "$name" systemctl enable --now tailscaled 2>/dev/null
}

online() { machine "$1" tailscale status --json | grep -q '"BackendState": "Running"'; }

tailscaled_login() {
  machine "$1" tailscale up --login-server="http://$NET.1:8080" --auth-key="$(control_key)" --hostname="$1" \
    --netfilter-mode=off --accept-dns=false --timeout=30s 2>/dev/null
  wait_for 20 "$1 is in the tailnet" online "$1"
}

# After a login it may take some 15 s until the others know of it.
reaches() { machine "$1" tailscale ping -c 1 --timeout 5s --until-direct=false "$2"; }
tailscaled_acquainted() {
  wait_for 45 "$1 reaches $2" reaches "$1" "$2"
  wait_for 45 "$2 reaches $1" reaches "$2" "$1"
}

control_down() {
  local ns
  [ -z "${HEADSCALE:-}" ] || kill -9 "$HEADSCALE" 2>/dev/null
  for ns in $(ip netns list | awk -v p="$CTL" 'index($1, p) == 1 { print $1 }'); do ip netns del "$ns"; done
}

# Also when a machine was lost.
control_end() {
  local status=$?
  set +e
  (exit $status); machines_end
  control_down
  exit $status
}
