"""A page in headless Chromium, without a network: what a script sees of it, and that the console stays silent."""

import html.parser
import json
import pathlib
import subprocess


class _Root(html.parser.HTMLParser):
    attributes: dict | None = None

    def handle_starttag(self, tag, attrs):
        if tag == "html":
            self.attributes = dict(attrs)


def seen(page: pathlib.Path, folder: pathlib.Path, script: str, *, width: int = 1280) -> dict:
    """Opens a copy of the page and runs a script, which leaves what it saw in the object `seen`.

    Args:
      page: the file.
      folder: for the copy and the browser's profile.
      script: may await; begins with `const root = document.documentElement, seen = {};`, or its like.
      width: of the window.
    """
    copy = folder / "copy.html"
    ending = "root.dataset.seen = JSON.stringify(seen);"
    tag = f"<script>(async () => {{{script}\n{ending}}})();</script></body>"
    copy.write_text(page.read_text().replace("</body>", tag))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom", copy.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    # Errors of scripts, and requests that the page's policy refuses, come as messages of the console.
    assert "CONSOLE" not in result.stderr, [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    root = _Root()
    root.feed(result.stdout)
    assert root.attributes["data-ready"] == "yes"
    return json.loads(root.attributes["data-seen"])
