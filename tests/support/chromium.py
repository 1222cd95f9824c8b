"""Debian's headless Chromium, driven over its DevTools protocol: one page, what it shows, and what it complains of."""
import base64
import json
import os
import pathlib
import shutil
import tempfile
import urllib.request

import websocket  # Debian's python3-websocket

from support.stack import wait_for


class Chromium:
    """Started for a test and ended with it. complaints: console errors, exceptions, violations of the policy."""

    def __init__(self, test):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ailive-chromium."))
        test.addCleanup(shutil.rmtree, self.folder, True)
        self.process = test.start("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                                  "--disable-background-networking", "--disable-dev-shm-usage", "--mute-audio",
                                  "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "about:blank",
                                  stderr=open(os.devnull, "wb"))
        test.addCleanup(self.stop)
        active = self.folder / "DevToolsActivePort"
        wait_for("chromium listens", lambda: active.exists() and active.read_text().count("\n"))
        port = int(active.read_text().split()[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60) as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=60, suppress_origin=True)
        self.last, self.complaints, self.asked = 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.last += 1
        self.socket.send(json.dumps({"id": self.last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.last:
                assert "error" not in message, message
                return message["result"]
            self.note(message)

    def note(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"].get("exception", parameters)))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])

    def size(self, width, height, dark=False, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
                  mobile=phone)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)
        wait_for(f"{url} is loaded", lambda: self.loaded(url))

    def loaded(self, url):
        """While one page gives way to another there may be nothing that an expression could run in."""
        try:
            return self.run("document.readyState == 'complete' && location.href").startswith(url)
        except (AssertionError, AttributeError):
            return False

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def text(self, selector):
        return self.run(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText")

    def rows(self, body):
        """The texts of a table's cells, line by line."""
        return self.run(f"[...document.querySelectorAll('#{body} tr')].map(r => [...r.cells].map(c => c.innerText))")

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Tab": 9, "Enter": 13}.get(key, 0), text="\r" if key == "Enter" else "")

    def picture(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def stop(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
