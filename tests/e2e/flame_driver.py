# SPDX-License-Identifier: GPL-2.0-only
"""Drives a headless chromium through chromedriver: the W3C WebDriver protocol, by urllib alone.

    with Browser(1200, 800) as browser:
        browser.open("file:///tmp/graph.svg")
        browser.key("/", "main", ENTER)
"""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request

ENTER, ESCAPE, BACKSPACE, HOME = "\ue007", "\ue00c", "\ue003", "\ue011"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
TAB = "\ue004"


def missing():
    """Why no browser can be driven here, or None."""
    for program, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if not shutil.which(program):
            return f"{program} is not installed (Debian's package {package})"
    return None


class Browser:
    def __init__(self, width=1200, height=800):
        self.size = (width, height)

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="flame-browser.")
        environment = dict(os.environ, HOME=self.home.name, XDG_CONFIG_HOME=self.home.name, XDG_CACHE_HOME=self.home.name)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True, env=environment)
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                         "--force-device-scale-factor=1", 
                         "--host-resolver-rules=MAP * ~NOTFOUND",  # the file may not need a network
                         f"--user-data-dir={self.home.name}/profile", f"--window-size={self.size[0]},{self.size[1]}"]
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = f"/session/{made['sessionId']}"
        except Exception:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", self.session)
        finally:
            self._stop()

    def _stop(self):
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()
        for _ in range(50):  # chromium may still write there
            try:
                self.home.cleanup()
                break
            except OSError:
                time.sleep(0.1)

    def _port(self):
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                return int(line.rsplit(" ", 1)[1].strip(". \n"))
        raise RuntimeError("chromedriver does not start")

    def _call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, url):
        self._call("POST", self.session + "/url", {"url": url})

    def run(self, script, *args):
        """What a script returns; a Promise is waited for."""
        return self._call("POST", self.session + "/execute/sync", {"script": script, "args": list(args)})

    def key(self, *texts):
        """Types characters, or the special ones above, into whatever has the focus."""
        actions = [{"type": what, "value": c} for text in texts for c in text for what in ("keyDown", "keyUp")]
        self._call("POST", self.session + "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def mouse(self, x, y, click=False):
        actions = [{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0}]
        if click:
            actions += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._call("POST", self.session + "/actions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def devtools(self, command, **params):
        return self._call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": params})

    def prefer(self, scheme):
        """As if the system were "light" or "dark"."""
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def log(self):
        """What the page complained about, and the requests that failed."""
        return [entry["message"] for entry in self._call("POST", self.session + "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        with open(path, "wb") as out:
            out.write(base64.b64decode(self._call("GET", self.session + "/screenshot")))
