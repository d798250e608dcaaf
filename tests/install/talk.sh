# Sourced after machine.sh: what people do with thrum on booted machines.
#
#   pair ADDER JOINER      `thrum peer add` and `thrum peer join ADDER:9100`, each in a terminal
#   pair_within TRIES ADDER JOINER   the same; what failed is cancelled and begun anew
#   code ADDER             the code that was shown
#   say FROM TO TEXT       a message; agents are named like their machines
#   arrives AT TEXT        waits for it

say() { local from=$1; shift; machine "$from" env THRUM_PROJECT=p thrum send --as "$from" "$@" >/dev/null; }
hears() { machine "$1" env THRUM_PROJECT=p thrum inbox --as "$1" --limit 1000 --json | grep -qF -- "$2"; }
arrives() { wait_for 40 "\"$2\" arrives at $1" hears "$1" "$2"; }

code() { grep -oE 'Pairing code: [0-9]{4}' "$MACHINES/$1/share/add.out" | grep -oE '[0-9]{4}$'; }

# script gives each command a real terminal; the code is typed as a person would. The caller may look at
# what this returns, and then `set -e` ends nothing here.
pair() {
  local adder=$1 joiner=$2 add
  local added=$MACHINES/$adder/share joined=$MACHINES/$joiner/share
  rm -f "$added/"add.* "$joined/"join.*
  machine "$adder" sh -c 'script -qfec "thrum peer add" /share/add.out >/dev/null 2>/share/add.err; echo $? >/share/add.rc' &
  add=$!
  wait_for 20 "a code is shown" code "$adder" || { cat "$added/"add.* >&2; return 1; }
  machine "$joiner" bash -c '(for _ in $(seq 300); do sleep 0.1; grep -q "pairing code" /share/join.out 2>/dev/null && break; done; echo '"$(code "$adder")"') |
    script -qfec "thrum peer join '"$adder"':9100" /share/join.out >/dev/null; echo ${PIPESTATUS[1]} >/share/join.rc'
  [ "$(cat "$joined/join.rc")" = 0 ] || { fail "join said: $(cat "$joined/join.out")"; return 1; }
  wait "$add" || return 1
  grep -q "Paired with \"$joiner\".*Syncing started" "$added/add.out" || { fail "add said: $(cat "$added/add.out")"; return 1; }
  grep -q "Paired with \"$adder\"\\. Syncing started" "$joined/join.out" || { fail "join said: $(cat "$joined/join.out")"; return 1; }
  [ "$(cat "$added/add.rc")" = 0 ] || fail "add ended with $(cat "$added/add.rc")"
}

pair_within() {
  local tries=$1 adder=$2 joiner=$3
  until pair "$adder" "$joiner"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 1
    # As with Ctrl-C, which ends the session; the terminal ends with it.
    machine "$adder" pkill -INT -x thrum || true
    wait_for 20 "the session has ended" test -s "$MACHINES/$adder/share/add.rc" || return 1
    step "pairing once more"
  done
}
