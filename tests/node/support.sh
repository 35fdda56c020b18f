# Sourced by the tests of real nodes: TEST CONVERGE-BINARY. Starts a node with converge, inventory/ and specs/ in
# /root/converge, gives the functions below, and removes the node whatever happens. Exits 77 (skipped) where no node can run.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
checkout=$(readlink -f "$here/../..")
binary=$(readlink -f "${1:?the converge binary to test}")
lab=$here/lab
node=test-$(basename "$0" _test)-$$
failures=0

reason=$("$lab" can) || { echo "skipped: $reason"; exit 77; }
trap '"$lab" down "$node"' EXIT
trap 'echo "FAILED: $0:$LINENO: a command of the test itself failed: $BASH_COMMAND"' ERR

# Values of the lab: nothing here is the name or the address of a real host.
lab_values=(-e swap_size_gb=1 -e registry_address=registry.lab.example:32166)

begin_node() {
  "$lab" up "$node" "${1:-systemd}" CoulombCore
  root=$("$lab" root "$node")
  mkdir "$root/root/converge"
  mkdir -p -m 700 "$root/var/lib/converge" # a new entry would be a change of /var/lib, see disk()
  cp "$binary" "$root/root/converge/converge"
  cp -r "$checkout/inventory" "$checkout/specs" "$root/root/converge/"
}

inside() { "$lab" exec "$node" "$@"; }

# Run a shell text of this test's own in the node.
sh_inside() { inside bash -euo pipefail -c "$1" </dev/null; }

complain() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$1"
  [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    | /'
}

# converge VERB ARGUMENTS...: on the node itself. Leaves the text in $said and the exit code in $code.
converge() {
  code=0
  said=$(inside env -C /root/converge ./converge "$@" -l CoulombCore "${lab_values[@]}" 2>&1 </dev/null) || code=$?
}

expect_exit() { # CODE TITLE
  [ "$code" = "$1" ] || complain "$2: exit $code, expected $1" "$said"
}

expect_said() { # REGEX TITLE
  grep -qE -- "$1" <<<"$said" || complain "$2: the report does not say /$1/" "$said"
}

expect_no_changes() { # TITLE: a converge finds nothing to do
  converge
  expect_exit 0 "$1"
  expect_said '\b0 changed\b' "$1"
}

expect_same() { # EXPECTED ACTUAL TITLE
  [ "$1" = "$2" ] || complain "$3" "$(diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"))"
}

# Everything that the node's disk holds and when each was changed: two equal answers mean that nothing was written.
# What the node's own services write while it runs, and converge's own history, are left out.
disk() {
  find "$root" -xdev \( -path "$root/proc" -o -path "$root/sys" -o -path "$root/dev" -o -path "$root/run" -o -path "$root/tmp" \
    -o -path "$root/usr" -o -path "$root/var/log" -o -path "$root/var/lib/systemd" -o -path "$root/var/lib/converge" -o -path "$root/var/tmp" \) -prune \
    -o -printf '%P %y %m %U:%G %s %T@ %C@ %l\n' | sort
}

# The desired state as tools that are not ours see it.
state() {
  inside bash -c '
    stat -c "swapfile: %s bytes, %a %u:%g" /swapfile
    echo "signature: $(blkid --probe --match-tag TYPE --output value /swapfile)"
    awk "\$1 == \"/swapfile\" {print \"active: \" \$3 \" KiB\"}" /proc/swaps
    echo "at boot: $(findmnt --fstab --noheadings --types swap --output SOURCE,FSTYPE | tr -s " ")"
    swapon --all --fixpgsz 2>&1 | sed "s/^/swapon --all: /"
    echo "swappiness: $(cat /proc/sys/vm/swappiness), from files: $(/lib/systemd/systemd-sysctl --cat-config | sed -n "s/^ *vm[.\/]swappiness *= *//p" | tail -1)"
    echo "login: $(su - tegwick -c "ulimit -Su; ulimit -Hu" | paste -sd/)"
    systemctl show user-1000.slice -p MemoryMax -p MemorySwapMax -p NeedDaemonReload
    echo "registries: $(stat -c "%a %U" /etc/rancher/k3s/registries.yaml) $(grep -A2 "registry.lab.example:32166\"*:" /etc/rancher/k3s/registries.yaml | tr -d " \"\n")"
    echo "k3s: $(systemctl is-active k3s), restarted since: $([ "$(date -d "$(systemctl show -P ActiveEnterTimestamp k3s)" +%s)" -ge "$(stat -c %Y /etc/rancher/k3s/registries.yaml)" ] && echo yes || echo no)"
    cd /home/tegwick
    stat -c "%n: %a %U" .ssh .ssh/config .ssh/id_ed25519_gitea
    ssh-keygen -lf .ssh/id_ed25519_gitea | cut -d" " -f1,3-
    su - tegwick -c "ssh -G gitea-local" 2>/dev/null | grep -E "^(hostname|port|user|identityfile) " | sort
    for repository in railiance-infra railiance-cluster railiance-platform; do
      echo "$repository: $(su - tegwick -c "git -C $repository remote get-url origin; git -C $repository remote get-url --push origin" | uniq)"
    done
  ' 2>&1 </dev/null
}

finish() {
  if [ $failures -gt 0 ]; then
    echo "$failures failures"
    exit 1
  fi
  echo "all as expected"
}
