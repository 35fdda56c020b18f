"""Headless Chromium, driven over a pair of pipes by the DevTools protocol; nothing but Python's own library."""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time


def find():
    for name in ("chromium-headless-shell", "chromium", "chromium-browser"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Failure(Exception):
    pass


class Browser:
    """One browser with one tab. What pages log, throw and fetch is kept: see `problems` and `requests`."""

    def __init__(self, program, width=1440, height=900):
        self.profile = tempfile.mkdtemp(prefix="converge-browser-")
        ours_out, theirs_in = os.pipe(), os.pipe()

        def wire():  # the browser reads from 3 and writes to 4
            os.dup2(theirs_in[0], 13)
            os.dup2(ours_out[1], 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--disable-background-networking",
                   "--disable-component-update", "--disable-default-apps", "--no-first-run", "--disable-sync", "--no-pings",
                   "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--user-data-dir=" + self.profile, "--hide-scrollbars",
                   f"--window-size={width},{height}", "about:blank"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=wire, pass_fds=(3, 4),
                                        start_new_session=True)
        os.close(theirs_in[0])
        os.close(ours_out[1])
        self.to, self.come = theirs_in[1], ours_out[0]
        self.pending, self.events, self.number, self.session = b"", [], 0, None
        self.problems, self.requests = [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.size(width, height)
        self.dark(False)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # its helpers, which would write on into the profile
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.to)
        os.close(self.come)
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\0" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.come], [], [], left)[0]:
                raise Failure("the browser does not answer")
            piece = os.read(self.come, 1 << 20)
            if not piece:
                raise Failure("the browser has ended")
            self.pending += piece
        message, self.pending = self.pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session and not method.startswith("Target."):
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            answer = self.receive(120)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failure(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        kind, about = event.get("method"), event.get("params", {})
        if kind == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif kind == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.problems.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif kind == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.problems.append(about["entry"]["text"] + " " + about["entry"].get("url", ""))
        elif kind == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        self.events.append(kind)

    def open(self, url):
        self.problems.clear()
        self.requests.clear()
        self.events.clear()
        if "loaderId" not in self.call("Page.navigate", url=url):
            return  # another part of the same document
        while "Page.loadEventFired" not in self.events:
            self.note(self.receive(120))

    def run(self, script):
        """The value of a JavaScript expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return answer["result"].get("value")

    def until(self, script, seconds=60):
        """Waits for an expression to become true, also across pages."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.run(script):
                    return
            except Failure:
                pass  # it went to another page meanwhile
            select.select([self.come], [], [], 0.05)
        raise Failure("never so: " + script)

    def key(self, name, text="", ctrl=False):
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Home": 36, "End": 35,
                 "Tab": 9, "PageDown": 34}
        event = {"key": name, "code": name, "windowsVirtualKeyCode": codes.get(name, ord(name[0].upper())), "modifiers": 2 if ctrl else 0}
        text = text or ("\r" if name == "Enter" else name if len(name) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        for letter in text:
            self.key(letter)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, yes):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if yes else "light"},
                                                          {"name": "prefers-reduced-motion", "value": "reduce"}])

    def picture(self, path):
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
