"""A webhook and a mail server, both small: they keep what comes."""

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hook:
    """Where it listens, and what came: (path, JSON) in order."""

    def __init__(self, url):
        self.url = url
        self.came = []

    def about(self, subject):
        """The bodies that came under a subject."""
        return [body["body"] for _, body in self.came if body["subject"] == subject]


@contextmanager
def hook():
    """A webhook that listens on this machine."""
    came = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = Hook(f"http://127.0.0.1:{server.server_port}")
    found.came = came
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mailbox():
    """A mail server that listens on this machine: its port, and the lines that came."""
    came = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.say("220 ready")
            for line in self.rfile:
                word = line.split()[0].upper() if line.strip() else b""
                came.append(line.decode().rstrip())
                if word == b"QUIT":
                    self.say("221 bye")
                    return
                if word == b"DATA":
                    self.say("354 go on")
                    came.extend(text.decode().rstrip() for text in iter(self.rfile.readline, b".\r\n"))
                replies = {b"EHLO": "250-here\r\n250 AUTH PLAIN LOGIN", b"AUTH": "235 welcome"}
                self.say(replies.get(word, "250 taken"))

        def say(self, text):
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], came
        finally:
            server.shutdown()
