# What the gates ask, in a network namespace of its own: a DNS server, a hub with TLS, a registry and a container. The
# file STATE says what is wrong with them, in words that the requests below look for.
#   python3 stand_in.py DIRECTORY    (with cert.pem, key.pem and STATE in it)
import http.server
import json
import socket
import ssl
import sys
import threading

directory = sys.argv[1]
hub, registry, dns, container = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
sha = "3f2c1e9"


def wrong(word):
    with open(directory + "/STATE") as state:
        return word in state.read().split()


class Answers(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, status, body="", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = lambda self: self.do_GET()


class Hub(Answers):
    def do_GET(self):
        paths = ["/hubs", "/hub-capability-manifests", "/api-consumers", "/policy-scopes"]
        if self.path == "/":
            return self.say(200, "<h1>Inter-Hub</h1>" if not wrong("front") else "<h1>It works</h1>")
        if self.path == "/api/v2/openapi.json":
            return self.say(200, json.dumps({"paths": {p: {} for p in paths if not (wrong("openapi") and p == "/policy-scopes")}}))
        if self.path == "/api/v2/hubs" and wrong("origin"):
            return self.say(404)
        if self.path == "/api/v2/widgets" and wrong("stale"):
            return self.say(404)
        return self.say(401)


class Registry(Answers):
    place = f"http://{registry}:32166"

    def do_GET(self):
        here = self.place
        if self.path.startswith("/v2/token?"):
            if wrong("token"):
                return self.say(403)
            return self.say(200, json.dumps({"token": "of-the-lab"}))
        if self.headers.get("Authorization") == "Bearer of-the-lab":
            if self.path == "/v2/coulomb/inter-hub/tags/list":
                return self.say(200, json.dumps({"tags": ["older", sha] if not wrong("tag") else ["older"]}))
            if self.path == f"/v2/coulomb/inter-hub/manifests/{sha}" and not wrong("manifest"):
                return self.say(200, "{}")
            return self.say(404)
        realm = f"http://{registry}:80/v2/token" if wrong("realm") else here + "/v2/token"
        if wrong("challenge"):
            return self.say(401)
        self.say(401, "", [("WWW-Authenticate", f'Bearer realm="{realm}",service="container_registry",scope="*"')])


class Container(Answers):
    def do_GET(self):
        if self.path == "/healthz":
            return self.say(200, "ok" if not wrong("health") else "ok but slow")
        return self.say(404)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # a client that does not trust us, or goes away


def serve(address, port, handler, tls=False, clients=None):
    server = Server((address, port), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory + "/cert.pem", directory + "/key.pem")
        if clients:  # only those whose certificate is of this authority
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        # The handshake is the business of each connection's thread: one that says nothing keeps nobody waiting.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def answer_names(sock):
    while True:
        question, peer = sock.recvfrom(512)
        if wrong("mute"):
            continue
        end = question.index(b"\0", 12) + 5
        address = "127.0.0.9" if wrong("dns") else hub
        reply = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:end]
        sock.sendto(reply + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address), peer)


if __name__ == "__main__":
    serve(hub, 443, Hub, tls=True)
    serve(registry, 32166, Registry)
    serve(container, 8000, Container)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((dns, 53))
    open(directory + "/ready", "w").close()
    answer_names(names)
