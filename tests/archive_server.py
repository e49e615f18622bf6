"""A web server on this machine that gives one file: in ranges, and breaking off or changing it when told."""

import contextlib
import hashlib
import http.server
import threading


class Site:
    """What is served, and what was asked for.

    Attributes:
      files: path -> content.
      break_after: bytes after which the next answer breaks off; None: never.
      validators: whether answers say which version of a file they give.
      ranges: what each request asked for; None: all.
    """

    def __init__(self, files):
        self.files, self.break_after, self.validators, self.ranges, self.headers = files, None, True, [], {}


@contextlib.contextmanager
def serving(files):
    """Yields (address, Site)."""
    site = Site(files)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            content = site.files.get(self.path)
            wanted = self.headers.get("Range")
            site.ranges.append(wanted)
            if content is None:
                self.send_error(404)
                return
            tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
            first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if self.headers.get("If-Range", tag) != tag:
                first = 0
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            if site.validators:
                self.send_header("ETag", tag)
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            sent = content[first:]
            if site.break_after is not None:
                sent, site.break_after = sent[: site.break_after], None
                self.close_connection = True
            self.wfile.write(sent)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
