"""A headless Chromium, driven over its DevTools pipe."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TIMEOUT_S = 30.0


class Browser:
    """One page; `said` has its log: errors of scripts, of the network, of its policy."""

    def __init__(self, read: int, write: int) -> None:
        self.read, self.write, self.left, self.last = read, write, b"", 0
        self.said: list[str] = []
        self.loaded = False
        self.session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params} | (
            {"sessionId": self.session} if self.session else {}
        )
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.last:
                assert "error" not in found, found
                return dict(found["result"])

    def open(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        self.loaded = False
        self.ask("Page.navigate", url=url)
        while not self.loaded:
            self._next()

    def value(self, script: str) -> Any:
        """Evaluate an expression on the page."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)["result"].get(
            "value"
        )

    def until(self, script: str) -> Any:
        """Wait until an expression is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (value := self.value(script)):
            assert time.monotonic() < deadline, f"still waiting for {script}; {self.said}"
            time.sleep(0.05)
        return value

    def look(
        self, width: int, height: int = 800, dark: bool = False, media: str = "", scale: float = 1, phone: bool = False
    ) -> None:
        """Set the size of the window in CSS pixels, and the preferences of the reader."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self, path: Path, clip: str = "") -> Path:
        """Save a PNG of the whole page, or of the element that a CSS selector finds."""
        box = (
            f"document.querySelector({json.dumps(clip)}).getBoundingClientRect()"
            if clip
            else "document.documentElement.getBoundingClientRect()"
        )
        area = self.value(f"(b => ({{x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}}))({box})")
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=area | {"scale": 1})
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.left:
            data = os.read(self.read, 1 << 20)
            assert data, "the browser is gone"
            self.left += data
        message, _, self.left = self.left.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        self._handle(found.get("method"), found.get("params", {}))
        return found

    def _handle(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Log.entryAdded":
            self.said.append(f"{params['entry']['level']}: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled":
            self.said.append(f"{params['type']}: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.said.append(f"exception: {params['exceptionDetails']}")


@contextmanager
def browser(*flags: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own; kill it at the end."""
    assert CHROMIUM is not None
    (down, ours), (theirs, up) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            f"--user-data-dir={profile}",
        ]
        # Chromium reads commands from descriptor 3 and answers on 4.
        words = [
            "bash",
            "-c",
            f'exec "$@" 3<&{down} 4>&{up}',
            "bash",
            CHROMIUM,
            *options,
            *flags,
            "--remote-debugging-pipe",
        ]
        process = subprocess.Popen(words, pass_fds=(down, up), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down)
        os.close(up)
        try:
            yield Browser(theirs, ours)
        finally:
            os.close(ours)
            os.close(theirs)
            process.kill()
            process.wait()
            shutil.rmtree(profile, ignore_errors=True)
            Path(profile).mkdir(exist_ok=True)  # its children may have been writing
