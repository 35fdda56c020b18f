# What the gossfile of gossfile_test asks of a network: a web server, with TLS too and one that wants certificates, a
# proxy, a registry over both, and a DNS server. The file STATE says what is wrong with them, as in stand_in.py.
#   python3 gossfile_stand_in.py DIRECTORY    (with ca.pem, cert.pem, key.pem and STATE in it)
import base64
import json
import socket
import struct

from stand_in import Answers, Registry, directory, serve, wrong

web, registry, dns = "127.0.0.2", "127.0.0.3", "127.0.0.4"
authorized = "Basic " + base64.b64encode(b"operator:of-the-lab").decode()


class Web(Answers):
    def do_GET(self):
        if self.path == "/health":
            return self.say(503 if wrong("health") else 200, "ok\n" if not wrong("body") else "ok but slow\n", [("X-Lab", "yes" if not wrong("header") else "no")])
        if self.path == "/version.json":
            return self.say(200, json.dumps({"version": "1.10.3" if not wrong("version") else "0.9.0", "parts": [{"name": "a", "size": 3}, {"name": "b", "size": 4}]}))
        if self.path == "/page.xml":
            return self.say(200, "<page><title>Lab</title><item n='1'/><item n='2'/></page>" if not wrong("xml") else "<page><title>Other</title></page>")
        if self.path == "/moved":
            return self.say(302 if not wrong("moved") else 200, "", [("Location", "/health")])
        if self.path == "/private":
            good = self.headers.get("Authorization") == authorized and not wrong("private")
            return self.say(200, "come in\n") if good else self.say(401, "", [("WWW-Authenticate", 'Basic realm="lab"')])
        return self.say(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.say(201 if not wrong("post") else 500, f"host={self.headers.get('Host')} lab={self.headers.get('X-Lab')} body={body}\n")


class Proxy(Answers):
    def do_GET(self):
        self.say(200 if not wrong("proxy") else 502, f"fetched {self.path}\n")


class PrivateRegistry(Registry):
    place = "https://registry.lab.example:5443"

    def do_GET(self):
        if self.path.startswith("/v2/token?") and self.headers.get("Authorization") != authorized:
            return self.say(401)
        super().do_GET()


def name_of(text):
    return b"".join(bytes([len(part)]) + part.encode() for part in text.split(".")) + b"\0"


def text_of(text):
    return bytes([len(text)]) + text.encode()


def records():
    """What is answered, by name and type."""
    here = socket.inet_aton("127.0.0.9" if wrong("address") else web)
    return {
        ("web.lab.example", 1): [here],
        ("web.lab.example", 28): [socket.inet_pton(socket.AF_INET6, "fd00::2")],
        ("alias.lab.example", 5): [name_of("web.lab.example")],
        ("lab.example", 2): [name_of("ns.lab.example")],
        ("lab.example", 15): [struct.pack("!H", 10) + name_of("mail.lab.example"), struct.pack("!H", 20) + name_of("other.lab.example")],
        ("lab.example", 16): [text_of("v=spf1 -all")] if not wrong("text") else [text_of("v=spf1 +all")],
        ("lab.example", 257): [bytes([0]) + text_of("issue") + b"ca.lab.example"],
        ("_http._tcp.lab.example", 33): [struct.pack("!HHH", 1, 2, 80) + name_of("web.lab.example")],
        ("2.0.0.127.in-addr.arpa", 12): [name_of("web.lab.example")],
    }


def answer_names(sock):
    while True:
        question, peer = sock.recvfrom(512)
        end = question.index(b"\0", 12) + 5
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
        name, known = ".".join(labels), records()
        found = known.get((name, kind), [])
        code = 0 if any(name == each for each, _ in known) else 3
        reply = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0) + question[12:end]
        for data in found:
            reply += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
        sock.sendto(reply, peer)


if __name__ == "__main__":
    serve(web, 80, Web)
    serve(web, 443, Web, tls=True)
    serve(web, 8443, Web, tls=True, clients=directory + "/ca.pem")
    serve(web, 3128, Proxy)
    serve(registry, 32166, Registry)
    serve(registry, 5443, PrivateRegistry, tls=True)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((dns, 53))
    open(directory + "/ready", "w").close()
    answer_names(names)
