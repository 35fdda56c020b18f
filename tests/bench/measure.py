"""What the benchmarks share: commands timed from outside.

Commands are timed in turn (A B C A B C ...), so that a drift of the machine hits all of them alike. Wall time is the
median; memory is the peak of the largest single process. A command that does not end as it should stops the whole
benchmark: a failed run is no measurement.
"""
import collections
import glob
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time


Result = collections.namedtuple("Result", "wall cpu rss wire")


def wire():
    """Bytes that have passed the network so far, both ways; 0 where there is none but loopback."""
    counters = glob.glob("/sys/class/net/eth0/statistics/[rt]x_bytes")
    return sum(int(open(counter).read()) for counter in counters)


def parsed(command):
    """(program and its arguments, environment, directory): without a shell where none is needed, for it would be measured too."""
    directory, plain = re.fullmatch(r"(?:cd (\S+) && )?(.*)", command, re.DOTALL).groups()
    if re.search(r"[;&|<>$`*?(){}\n]", plain):
        return ["bash", "-c", command], None, None
    words = shlex.split(plain)
    given = dict(word.split("=", 1) for word in words[: next(i for i, word in enumerate(words) if "=" not in word)])
    return words[len(given):], {**os.environ, **given}, directory


def shell(command, peak_too=False):
    """Runs `command`; returns its Result: seconds, user+system seconds, peak resident MB (or 0), bytes. Stops at an unexpected exit."""
    argv, environment, directory = parsed(command)
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile(mode="r") as peak:
        if peak_too:  # GNU time asks for it: a child of ours would begin with the peak of this interpreter
            argv = ["/usr/bin/time", "--quiet", "-o", peak.name, "-f", "%M", *argv]
        before, began = wire(), time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, cwd=directory)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in (0, 2 if " plan " in command else 0):
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace")[-4000:])
            raise SystemExit(f"bench: exit {child.returncode} from: {command}")
        return Result(wall, usage.ru_utime + usage.ru_stime, int(peak.read().split()[-1]) / 1024 if peak_too else 0, wire() - before)


def measure(cases, runs, warm=True):
    """cases: [(label, prepare or None, command)] -> {label: Result of medians}; the peak is that of the first run, which is
    a warm-up that counts for nothing else if `warm`."""
    peaks = {}
    seen = {label: [] for label, _, _ in cases}
    for run in range(-warm, runs):
        for label, prepare, command in cases:
            if prepare:
                shell(prepare)
            result = shell(command, peak_too=label not in peaks)
            peaks.setdefault(label, result.rss)
            if run >= 0:
                seen[label].append(result)
        print(f"  {'warm-up' if run < 0 else f'run {run + 1} of {runs}'}", file=sys.stderr)
    return {label: Result(*map(statistics.median, zip(*results)))._replace(rss=peaks[label]) for label, results in seen.items()}


def ms(seconds):
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def version(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip().splitlines()[0]
