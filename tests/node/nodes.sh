# Sourced by lab and fleet: what every node has, whatever started it. A node is a directory that holds
#   machine  its name on this machine      kind  systemd, bench, openrc or light      base  the root file system it began as
#   pid      the process that started it, whose child is the node's init
# Needs: here (this directory), lab (where nodes are kept).

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "$*"; exit 1; }

can() {
  [ "$(id -u)" = 0 ] || { echo "nodes need root"; return 1; }
  local tool
  for tool in systemd-nspawn nsenter mmdebstrap ip; do
    command -v $tool >/dev/null || { echo "nodes need $tool (tests/support/install-dependencies node)"; return 1; }
  done
  unshare --mount --pid --net --uts --ipc --fork true 2>/dev/null || { echo "nodes need namespaces, which this machine refuses"; return 1; }
  local kind=${lab}
  while [ ! -d "$kind" ]; do kind=$(dirname "$kind"); done
  case $(stat -f -c %T "$kind") in
    ext2/ext3 | xfs) ;;
    *) echo "nodes need a directory on ext4 or xfs for swap: set CONVERGE_LAB ($lab is on $(stat -f -c %T "$kind"))"; return 1 ;;
  esac
}

base() {
  local kind=${1:-systemd} directory
  directory=$lab/base-$kind-$(sha256sum <"$here/rootfs" | cut -c1-12)
  if [ ! -d "$directory" ]; then
    mkdir -p "$lab"
    exec 8>"$lab/lock"
    flock 8
    if [ ! -d "$directory" ]; then
      say "making the root file system of a $kind node, once (under a minute)"
      local making old
      rm -rf "$lab"/making.* # of a run that was killed: we hold the lock
      making=$(mktemp -d "$lab/making.XXXXXX")
      chmod 755 "$making"
      trap 'rm -rf "$making"' EXIT
      "$here/rootfs" "$kind" "$making/root" >"$lab/rootfs.log" 2>&1 </dev/null || { tail -20 "$lab/rootfs.log" >&2; fail "cannot make the root file system, see $lab/rootfs.log"; }
      for old in "$lab/base-$kind-"*; do
        [ ! -d "$old" ] || grep -qxF "$old" "$lab"/{nodes,fleets/*/nodes}/*/base 2>/dev/null || rm -rf "$old"
      done
      mv "$making/root" "$directory"
      rm -rf "$making"
      trap - EXIT
    fi
    exec 8>&-
  fi
  echo "$directory"
}

# The process in the node's pid file, if it is still the one that was started.
alive() { [ -s "$1/pid" ] && grep -qzx -e "--machine=$(cat "$1/machine")" "/proc/$(cat "$1/pid")/cmdline" 2>/dev/null; }

# The node's init, as a process of this machine.
leader() { pgrep -P "$(cat "$1/pid")" 2>/dev/null | head -1; }

inside() { # DIRECTORY COMMAND...
  local init
  init=$(leader "$1")
  [ -n "$init" ] || fail "node '$(basename "$1")' is not up"
  shift
  nsenter --target "$init" --mount --uts --ipc --net --pid --root --wd -- \
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LANG=C.UTF-8 TERM=dumb "$@"
}

ready() {
  local init
  init=$(leader "$1") && [ -n "$init" ] || return 1
  case $(cat "/proc/$init/comm" 2>/dev/null) in
    systemd) inside "$1" systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)$' ;;
    init) inside "$1" rc-status --runlevel 2>/dev/null | grep -qx default && inside "$1" test -e /run/openrc/softlevel ;;
    *) return 1 ;;
  esac
}

hierarchies() { # of cgroups, those that a container's init wants to own a part of
  local hierarchy
  for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    case $(stat -f -c %T "$hierarchy" 2>/dev/null) in cgroup*fs) echo "$hierarchy" ;; esac
  done
}

join_cgroups() { # MACHINE: the calling shell, and what it will start
  local hierarchy
  for hierarchy in $(hierarchies); do
    mkdir -p "$hierarchy/$1" && echo "$BASHPID" >"$hierarchy/$1/cgroup.procs" || true
  done 2>/dev/null
}

stop() {
  local directory=$1 machine init tries hierarchy
  [ -s "$directory/machine" ] || return 0
  machine=$(cat "$directory/machine")
  if alive "$directory"; then
    init=$(leader "$directory")
    [ -z "$init" ] || kill -9 "$init" 2>/dev/null || true
    for ((tries = 0; tries < 100; tries++)); do
      alive "$directory" || break
      sleep 0.05
    done
    alive "$directory" && kill -9 "$(cat "$directory/pid")" 2>/dev/null
  fi
  rm -f "$directory/pid"
  for hierarchy in $(hierarchies); do
    for ((tries = 0; tries < 100; tries++)); do # what was killed is in there until the kernel has ended it
      [ -d "$hierarchy/$machine" ] || break
      find "$hierarchy/$machine" -depth -type d -exec rmdir {} \; 2>/dev/null || true
      [ ! -d "$hierarchy/$machine" ] || sleep 0.05
    done
  done
}

# Whether the script that started what DIRECTORY holds is gone. A process that ended but was not waited for still has a
# number, but no command line.
abandoned() { [ -s "$1/owner" ] && ! grep -q . "/proc/$(cat "$1/owner")/cmdline" 2>/dev/null; }
