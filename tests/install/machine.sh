# Sourced: throw-away machines that boot a real systemd in a container, for the install tier.
#
#   machine_root            builds the Debian root once, into the cache, and prints its folder
#   machine_boot NAME [NS [tun]]   boots NAME; in network namespace NS, else with a network of its own;
#                           with tun it may make network interfaces
#   machine NAME CMD...     runs CMD inside
#   journal_end NAME        the end of its journal, for --after-cursor: --since knows only whole seconds
#   machine_halt NAME       powers it off; its disk stays until machine_forget NAME
#   newer_deb DEB NEWER     the same package under a later version
#   wait_for SECONDS WHAT CMD...   tries CMD until it succeeds; names WHAT when the time is over
#
# Needs root, systemd-container and mmdebstrap. Everything is in $MACHINES, mounts included.

MACHINES=${MACHINES:-$(mktemp -d /tmp/thrum-install.XXXXXX)}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/thrum-tests
SUITE=bookworm
PACKAGES=systemd,systemd-sysv,libpam-systemd,dbus,procps,man-db,bash-completion

fail() { printf 'FAILED: %s\n' "$*" >&2; return 1; }
step() { printf -- '-- %s\n' "$*" >&2; }

wait_for() {
  local limit=$1 what=$2 deadline=$((SECONDS + $1)); shift 2
  until "$@" >"$MACHINES/last" 2>&1; do
    if [ $SECONDS -ge "$deadline" ]; then
      fail "$what: not within $limit s; last: $(tail -n 3 "$MACHINES/last" | tr '\n' ' ')"
      return 1
    fi
    sleep 0.1
  done
}

machine_root() {
  local root=$CACHE/root-$SUITE-$(printf '%s' "$PACKAGES" | sha256sum | cut -c1-12)
  mkdir -p "$CACHE"
  (
    flock 9
    [ -e "$root.done" ] && exit 0
    rm -rf "$root"
    mmdebstrap --quiet --mode=root --variant=minbase --include="$PACKAGES" --aptopt='APT::Sandbox::User "root"' \
      "$SUITE" "$root" \
      "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $SUITE main" >&2
    touch "$root.done"
  ) 9>"$root.lock" || return 1
  printf '%s\n' "$root"
}

# The container's first process, as this machine sees it.
machine_leader() { pgrep -P "$(cat "$MACHINES/$1/pid")" 2>/dev/null | head -n 1; }

machine() {
  local name=$1 leader; shift
  leader=$(machine_leader "$name")
  [ -n "$leader" ] || { fail "machine $name does not run"; return 1; }
  nsenter -t "$leader" -a env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 TERM=dumb "$@"
}

machine_settled() {
  case $(machine "$1" systemctl is-system-running 2>&1) in
    running | degraded) ;;
    *) return 1 ;;
  esac
}

machine_boot() {
  local name=$1 ns=${2:-} dir=$MACHINES/$1 net=--private-network
  local base; base=$(machine_root) || return 1
  mkdir -p "$dir"/{upper,work,root,share}
  if [ ! -e "$dir/upper/etc" ]; then
    # A machine of its own: its name, and a machine id that the first boot makes.
    mkdir "$dir/upper/etc"
    printf '%s\n' "$name" >"$dir/upper/etc/hostname"
    : >"$dir/upper/etc/machine-id"
  fi
  [ -z "$ns" ] || net=--network-namespace-path=/run/netns/$ns
  [ "${3:-}" != tun ] || net+=" --capability=CAP_NET_ADMIN,CAP_NET_RAW --bind=/dev/net/tun"
  # A mount namespace of its own, so that nothing of it is left when it ends; a pure cgroup2 as on
  # the machines that people have.
  setsid unshare --mount --propagation private bash -c '
    set -e
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mkdir -p "/sys/fs/cgroup/$1"
    echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs tmpfs /run/systemd/nspawn
    mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
    exec systemd-nspawn --quiet -D "$3/root" --boot --register=no --keep-unit --machine="$4" $5 \
      --console=read-only --system-call-filter=bpf --bind="$3/share:/share"
  ' - "thrum-$$-$name" "$base" "$dir" "$name" "$net" </dev/null >>"$dir/console" 2>&1 &
  echo $! >"$dir/pid"
  wait_for 60 "$name boots" machine_settled "$name"
}

journal_end() {
  machine "$1" journalctl --sync
  machine "$1" journalctl -q -n 1 -o cat --show-cursor | sed -n 's/^-- cursor: //p'
}

machine_halt() {
  local pid leader
  pid=$(cat "$MACHINES/$1/pid" 2>/dev/null) || return 0
  leader=$(machine_leader "$1")
  # What systemd understands as "power off".
  [ -z "$leader" ] || kill -s RTMIN+4 "$leader" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

machine_forget() {
  machine_halt "$1"
  # The cgroups that nspawn leaves behind, innermost first.
  local mount; mount=$(mktemp -d "$MACHINES/cgroup.XXXXXX")
  if mount -t cgroup2 cgroup2 "$mount" 2>/dev/null; then
    find "$mount/thrum-$$-$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    umount "$mount"
  fi
  rm -rf "${MACHINES:?}/$1" "$mount"
}

newer_deb() {
  local tree; tree=$(mktemp -d "$MACHINES/newer.XXXXXX")
  dpkg-deb -R "$1" "$tree"
  sed -i 's/^Version: .*/Version: 99.0.0-1/' "$tree/DEBIAN/control"
  dpkg-deb -b "$tree" "$2" >/dev/null
  rm -r "$tree"
}

machines_end() {
  local status=$? dir
  for dir in "$MACHINES"/*/; do
    [ -e "$dir/pid" ] || continue
    if [ $status -ne 0 ] && machine_leader "$(basename "$dir")" >/dev/null; then
      printf '\n== %s, the last lines of its journal\n' "$(basename "$dir")" >&2
      machine "$(basename "$dir")" journalctl --no-pager -n 60 >&2 || true
    fi
    machine_forget "$(basename "$dir")"
  done
  rm -rf "$MACHINES"
  return $status
}
