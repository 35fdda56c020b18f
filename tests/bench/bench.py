#!/usr/bin/env python3
"""bench.py [--runs N] - runs on a node: the comparison as Markdown on stdout, progress on stderr.

Commands are timed from outside, in turn (A B C A B C ...), so that a drift of the machine hits all of them alike. Wall
time is the median; memory is the peak of the largest single process; processes and system calls are counted in one more
run under strace. A command that does not end as it should stops the whole benchmark: a failed run is no measurement.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ANSIBLE = "cd /bench/ansible && ANSIBLE_CONFIG=/bench/ansible/{cfg}.cfg ansible-playbook -i inventory/local.yml {play}"
CONVERGE = "cd /bench/converge && /opt/converge {verb} -l CoulombCore -e registry_address=registry.lab.example:32166 -e swap_size_gb=1"
CFENGINE = "cf-agent -KI {flags} -f /bench/cfengine/coulombcore.cf"
RESET = "/bench/reset"


def shell(command, quiet=True):
    """Runs `command`; returns (seconds, user+system seconds, peak resident MB). Raises on an unexpected exit."""
    # GNU time asks for the peak: a child of ours would begin with the peak of this interpreter.
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile(mode="r") as peak:
        began = time.monotonic()
        child = subprocess.Popen(["/usr/bin/time", "--quiet", "-o", peak.name, "-f", "%M", "bash", "-c", command],
                                 stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 2 if " plan " in command else 0):
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-4000:])
            raise SystemExit(f"bench: exit {child.returncode} from: {command}")
        return wall, usage.ru_utime + usage.ru_stime, int(peak.read().split()[-1]) / 1024


def measure(cases, runs, warm=1):
    """cases: [(label, prepare or None, command)] -> {label: (median wall, median cpu, median rss)}"""
    seen = {label: [] for label, _, _ in cases}
    for run in range(-warm, runs):
        for label, prepare, command in cases:
            if prepare:
                shell(prepare)
            result = shell(command)
            if run >= 0:
                seen[label].append(result)
        print(f"  {'warm-up' if run < 0 else f'run {run + 1} of {runs}'}", file=sys.stderr)
    return {label: tuple(statistics.median(r[i] for r in results) for i in range(3)) for label, results in seen.items()}


def traced(command):
    """(processes started, system calls) of one run, counted by strace."""
    with tempfile.NamedTemporaryFile(mode="r", errors="replace") as log:
        subprocess.run(["strace", "-f", "-qq", "-o", log.name, "-e", "signal=none", "bash", "-c", command],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        calls = processes = 0
        for line in log:
            if " resumed>" not in line:
                calls += 1
            if re.search(r"\b(clone3?|v?fork)\b.*= [1-9]\d*$", line) and "CLONE_THREAD" not in line:
                processes += 1
    return processes, calls


def commands_of(command):
    """The programs that a run starts, with how often, and the seconds spent in each."""
    with tempfile.NamedTemporaryFile(mode="r", errors="replace") as log:
        subprocess.run(["strace", "-f", "-ttt", "-qq", "-o", log.name, "-e", "trace=execve,exit_group", "-e", "signal=none", "bash", "-c", "exec " + command.split("&& ")[-1]],
                       cwd="/bench/converge", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun, spent = {}, {}
        for line in log:
            pid, at, what = line.split(maxsplit=2)
            executed = re.match(r'execve\("([^"]*)", \[(.*)\].*= 0$', what.rstrip())
            if executed:
                words = re.findall(r'"([^"]*)"', executed.group(2))
                begun[pid] = (os.path.basename(executed.group(1)) + (" " + words[1] if len(words) > 1 else ""), float(at))
            elif what.startswith("exit_group") and pid in begun:
                name, start = begun.pop(pid)
                count, total = spent.get(name, (0, 0.0))
                spent[name] = (count + 1, total + float(at) - start)
    return spent


def ms(seconds):
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def table(title, results, ours="converge"):
    print(f"\n## {title}\n\n| | wall (median) | times converge | CPU | peak memory of a process |\n|---|---:|---:|---:|---:|")
    for label, (wall, cpu, rss) in results.items():
        print(f"| {label} | {ms(wall)} | {wall / results[ours][0]:.1f} | {ms(cpu)} | {rss:.1f} MB |")
    sys.stdout.flush()


def version(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip().splitlines()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    os.environ["LC_ALL"] = "C.UTF-8"
    apply, plan, verify = (CONVERGE.format(verb=verb) for verb in ("apply", "plan", "verify"))
    ansible = ANSIBLE.format(cfg="default", play="site.yml")
    tuned = ANSIBLE.format(cfg="tuned", play="site-nofacts.yml")
    cfengine, cfengine_dry = CFENGINE.format(flags=""), CFENGINE.format(flags="-n")

    print("# converge, Ansible and CFEngine at the same work\n")
    print("Generated by `make bench`. One node, everything local to it, the same desired state: a 1 GiB swap file, process\n"
          "limits, a slice drop-in, a k3s registry mirror, git over SSH. converge also proves each of them in effect, which\n"
          "the others do not.\n")
    kernel = ".".join(os.uname().release.split(".")[:2])
    print(f"{version('ansible --version')}, {version('cf-agent --version')}, Linux {kernel}, {os.cpu_count()} CPUs, "
          f"median of {runs} runs, in turn.")

    print("first converge", file=sys.stderr)
    table("First converge, from a fresh node", measure([
        ("converge", RESET, apply), ("Ansible", RESET, ansible), ("Ansible, tuned, no facts", RESET, tuned),
        ("CFEngine", RESET, cfengine)], max(3, runs // 2)))

    def settled(command):  # each tool first brings the node to the state as it writes it itself
        shell(RESET)
        shell(command)
        shell(command)

    noop, dry = {}, {}
    print("no-op and dry run", file=sys.stderr)
    for bring, cases in ((apply, [("converge", apply), ("converge plan", plan), ("converge verify", verify)]),
                         (ansible, [("Ansible", ansible), ("Ansible, tuned, no facts", tuned), ("Ansible --check", ansible + " --check")]),
                         (cfengine, [("CFEngine", cfengine), ("CFEngine, dry run", cfengine_dry)])):
        settled(bring)
        results = measure([(label, None, command) for label, command in cases], runs * (3 if bring == apply else 1))
        for label, result in results.items():
            (dry if re.search("plan|verify|check|dry", label) else noop)[label] = result
        if bring == apply:
            spent = commands_of(apply)
    table("Nothing to do: a second converge", noop)
    dry = {"converge plan": dry.pop("converge plan"), **dry}
    table("Looking without changing, nothing to find", dry, "converge plan")

    print("\n## What a second converge costs the machine\n\n| | processes started | system calls |\n|---|---:|---:|")
    for label, command in (("converge", apply), ("Ansible, tuned, no facts", tuned), ("CFEngine", cfengine)):
        settled(command)
        processes, calls = traced(command)
        print(f"| {label} | {processes:,} | {calls:,} |", flush=True)

    print("\n## Where converge spends a second converge (under strace, so slower than above)\n\n| program | times | together |\n|---|---:|---:|")
    for name, (count, seconds) in sorted(spent.items(), key=lambda entry: -entry[1][1]):
        print(f"| `{name}` | {count} | {ms(seconds)} |")

    print("\n## Nothing to do, by number of managed files\n\n| files | converge | CFEngine | Ansible (loop) | converge: per file | converge: peak memory |\n|---:|---:|---:|---:|---:|---:|", flush=True)
    for count in (10, 100, 1000, 10000):
        print(f"{count} files", file=sys.stderr)
        policy = f"/bench/scale-{count}.cf"
        shell(f"rm -rf /var/tmp/scale; /bench/scale-policy {count} >{policy}; chmod 600 {policy}")
        cases = [("converge", None, f"cd /bench/converge && /opt/converge apply /bench/scale.yaml -l CoulombCore -e n={count}")]
        shell(cases[0][2])
        shell(f"cf-agent -K -f {policy}")
        cases.append(("CFEngine", None, f"cf-agent -K -f {policy}"))
        results = measure(cases, runs if count < 10000 else 3)
        if count <= 100:
            loop = ANSIBLE.format(cfg="tuned", play=f"scale-loop.yml -e n={count}")
            shell(loop)
            results.update(measure([("Ansible", None, loop)], 3 if count == 10 else 1, 0))
        ours = results["converge"]
        row = [ms(results[label][0]) if label in results else "not run" for label in ("converge", "CFEngine", "Ansible")]
        print(f"| {count:,} | {row[0]} | {row[1]} | {row[2]} | {ours[0] / count * 1e6:,.0f} µs | {ours[2]:.0f} MB |", flush=True)


main()
