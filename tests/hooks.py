"""A webhook: a small HTTP server that keeps what is posted to it."""

import json
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
