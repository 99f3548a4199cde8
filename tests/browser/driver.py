"""A browser through chromedriver's HTTP interface, and the server of the page. Standard library only."""
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = os.environ["EBB_BIN_DIR"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"]


def wait_for(condition, what, limit_s=30):
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_s} s for {what}")
        time.sleep(0.1)


class DemoServer:
    def __init__(self, *args):
        self.process = subprocess.Popen([os.path.join(BIN, "api-demo-server"), *args], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def call(self, method, path, body):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        self.process.stdout.close()


class Browser:
    def __init__(self, width=1280, height=1000):
        self.home = tempfile.mkdtemp(prefix="ebb-browser-")
        self.log = open(os.path.join(self.home, "driver.log"), "w+")
        self.driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=self.log, stderr=subprocess.STDOUT,
                                       env={**os.environ, "HOME": self.home, "TMPDIR": self.home})
        self.base = f"http://127.0.0.1:{wait_for(self.port, 'chromedriver')}"
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--window-size={width},{height}",
                                                f"--user-data-dir={os.path.join(self.home, 'profile')}"]}
        wanted = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.session = ""
        self.session = self.ask("POST", "/session", {"capabilities": wanted})["sessionId"]

    def port(self):
        self.log.seek(0)
        for line in self.log.read().splitlines():
            if "started successfully on port" in line:
                return int(line.rstrip(".").split()[-1])
        return None

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        prefix = f"/session/{self.session}" if self.session else ""
        request = urllib.request.Request(self.base + prefix + path, method=method, data=data,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:500]) from error

    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def command(self, name, **params):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def console(self):
        """What the page complained about since the last call."""
        return [entry for entry in self.ask("POST", "/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]

    def size(self, width, height, dark=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.command("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, name):
        folder = os.environ.get("EBB_SCREENSHOTS")
        if folder:
            data = self.command("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            with open(os.path.join(folder, name + ".png"), "wb") as file:
                file.write(base64.b64decode(data))

    def close(self):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            self.log.close()
            shutil.rmtree(self.home, ignore_errors=True)
