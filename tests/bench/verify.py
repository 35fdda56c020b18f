#!/usr/bin/env python3
"""verify.py [--runs N] - runs on a node: gossfiles of several kinds and sizes, as Markdown on stdout.

Everything they ask passes: what the node is like is asked first, by its own tools. testinfra is asked the same where that
takes no minutes. Goss's figures are quoted, from another day. How things are timed says measure.py.
"""
import argparse
import os
import subprocess
import sys

from measure import measure, ms

WORK = "/var/tmp/verify"
LOG_BYTES = 300_000_000
# goss 0.4.10 `validate`: wall and peak memory as it was measured, where it was
GOSS = {"1 file": "5.2 ms, 14 MB", "30 mixed resources": "33 ms, 16 MB", "1000 files": "18 ms, 19 MB", "1000 files, 5 attributes": "41 ms",
        "10 000 files, 2 attributes": "624 ms, 52 MB", "200 packages": "739 ms", "200 commands": "117 ms", "50 services": "361 ms",
        "2 negative patterns over 300 MB": "362 ms, 27 MB"}


def said(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.split()


def write(name, text):
    with open(f"{WORK}/{name}", "w") as file:
        file.write(text)


def quoted(text):
    return '"' + text.replace("\\", "\\\\") + '"'


def services(count):
    """Units of the node, those that run first, with what systemd says of them: {name: (enabled, running)}"""
    out = {}
    running = said("systemctl", "list-units", "--plain", "--no-legend", "--state=running", "*.service")
    known = said("systemctl", "list-unit-files", "--no-legend", "*.service")
    for name in dict.fromkeys(word for word in running + known if word.endswith(".service")):
        if "@" in name or len(out) == count:
            continue
        ends = [subprocess.run(["systemctl", "-q", verb, name]).returncode == 0 for verb in ("is-enabled", "is-active")]
        out[name.removesuffix(".service")] = tuple(ends)
    return out


def section(kind, entries):
    return f"{kind}:\n" + "".join(f"  {quoted(key)}: {{{what}}}\n" for key, what in entries)


def files(count, attributes):
    return section("file", [(f"{WORK}/files/f{i:05}", attributes) for i in range(count)])


def cases():
    """{label: (gossfile, testinfra's module or None)}"""
    packages = said("dpkg-query", "-W", "-f", "${Package}\n")[:200]
    units = services(50)
    running = lambda units: section("service", [(name, f"enabled: {str(on).lower()}, running: {str(up).lower()}") for name, (on, up) in units.items()])
    installed = lambda names: section("package", [(name, "installed: true") for name in names])
    paths = ["/etc/passwd", "/etc/group", "/etc/fstab", "/etc/hosts", "/etc/shells", "/etc/profile", "/usr/bin/env", "/etc", "/tmp", "/var"]
    five = dict(list(units.items())[:5])
    mixed = (section("file", [(path, "exists: true, owner: root") for path in paths]) + installed(packages[:5]) + running(five) +
             section("port", [("tcp:22", "listening: true"), ("tcp:1", "listening: false"), ("udp:1", "listening: false")]) +
             section("user", [(user, "exists: true") for user in ("root", "daemon", "tegwick")]) +
             section("command", [("echo hi", "exit-status: 0, stdout: [hi]"), ("uname -s", "exit-status: 0, stdout: [Linux]")]) +
             section("kernel-param", [("kernel.ostype", "value: Linux"), ("kernel.pid_max", f"value: \"{open('/proc/sys/kernel/pid_max').read().strip()}\"")]))
    of_paths = "@pytest.mark.parametrize('path', {})\ndef test_file(host, path): assert host.file(path).exists\n"
    of_packages = "@pytest.mark.parametrize('name', {})\ndef test_package(host, name): assert host.package(name).is_installed\n"
    # Of units that are static or an alias, testinfra says otherwise than systemctl whether they are enabled.
    of_units = "@pytest.mark.parametrize('name, up', {})\ndef test_service(host, name, up): assert host.service(name).is_running == up\n"
    rows = lambda units: [(name, up) for name, (_, up) in units.items()]
    of_mixed = ("@pytest.mark.parametrize('path', {})\ndef test_file(host, path): assert host.file(path).exists and host.file(path).user == 'root'\n".format(paths) +
                of_packages.format(packages[:5]) + of_units.format(rows(five)) +
                "def test_port(host): assert host.socket('tcp://22').is_listening or host.socket('tcp://127.0.0.1:22').is_listening\n"
                "@pytest.mark.parametrize('port', ['tcp://1', 'udp://1'])\ndef test_no_port(host, port): assert not host.socket(port).is_listening\n"
                "@pytest.mark.parametrize('name', ['root', 'daemon', 'tegwick'])\ndef test_user(host, name): assert host.user(name).exists\n"
                "@pytest.mark.parametrize('line, says', [('echo hi', 'hi'), ('uname -s', 'Linux')])\ndef test_command(host, line, says): assert says in host.check_output(line)\n"
                "@pytest.mark.parametrize('name', ['kernel.ostype', 'kernel.pid_max'])\ndef test_sysctl(host, name): assert host.sysctl(name)\n")
    return {
        "1 file": (section("file", [("/etc/passwd", "exists: true")]), of_paths.format(["/etc/passwd"])),
        "30 mixed resources": (mixed, of_mixed),
        "1000 files": (files(1000, "exists: true"), of_paths.format([f"{WORK}/files/f{i:05}" for i in range(1000)])),
        "1000 files, 5 attributes": (files(1000, 'exists: true, mode: "0644", owner: root, group: root, filetype: file'), None),
        "10 000 files, 2 attributes": (files(10_000, 'exists: true, mode: "0644"'), None),
        "200 packages": (installed(packages), of_packages.format(packages)),
        "200 commands": (section("command", [(f"echo {i}", f"exit-status: 0, stdout: ['{i}']") for i in range(200)]), None),
        "50 services": (running(units), of_units.format(rows(units))),
        "2 negative patterns over 300 MB": (section("file", [(f"{WORK}/log", "exists: true, contents: ['!PANIC', '!/segfault at [0-9a-f]+/']")]), None),
    }


def make_log():
    """Real lines, written out: a hole would be read faster than any disk cache."""
    lines = "".join(f"2026-11-21T03:{i % 60:02}:{i % 59:02} host app[{1000 + i % 97}]: GET /api/v1/things/{i} status=200 bytes={i * 7 % 10007}\n" for i in range(20_000))
    with open(f"{WORK}/log", "w") as file:
        for _ in range(LOG_BYTES // len(lines) + 1):
            file.write(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    os.environ["LC_ALL"] = "C.UTF-8"
    os.makedirs(f"{WORK}/files", exist_ok=True)
    for i in range(10_000):
        write(f"files/f{i:05}", "x")
    make_log()
    has_testinfra = subprocess.run("python3 -c 'import testinfra, pytest'", shell=True, stderr=subprocess.DEVNULL).returncode == 0
    print("\n# Verifying: gossfiles\n\nEverything passes. Wall, CPU and peak memory of `converge verify -g`, and of testinfra asked the same in the same run. Goss's\n"
          "wall and peak memory are of 0.4.10 on a machine of this kind, taken on another day.\n")
    print("| | converge | CPU | peak memory | testinfra | CPU | peak memory | Goss, on another day |\n|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for label, (gossfile, module) in cases().items():
        print(label, file=sys.stderr)
        write("goss.yaml", gossfile)
        ours = measure([(label, None, f"/opt/converge verify -g {WORK}/goss.yaml")], max(runs, 5))[label]
        row = ["", "", ""]
        if module and has_testinfra:
            write("test_node.py", "import pytest\n" + module)
            theirs = measure([(label, None, f"cd {WORK} && py.test-3 -q -p no:cacheprovider test_node.py")], min(runs, 3), False)[label]
            row = [ms(theirs.wall), ms(theirs.cpu), f"{theirs.rss:.0f} MB"]
        print(f"| {label} | {ms(ours.wall)} | {ms(ours.cpu)} | {ours.rss:.1f} MB | {' | '.join(row)} | {GOSS[label]} |", flush=True)
    subprocess.run(["rm", "-rf", WORK], check=True)


main()
