"""A real S3 server for tests: s3rver, installed once below build/ with what tests/tools/s3/package-lock.json says, and
started on a free loopback port. Also AWS's Signature Version 4 by its published description, sharing no code with what
is tested."""
import fcntl
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOCK_FILE = os.path.join(HERE, "s3", "package-lock.json")
EMPTY = hashlib.sha256(b"").hexdigest()
KEY, SECRET = "S3RVER", "S3RVER"  # what s3rver knows


def modules():
    """The directory of the installed packages; installs them when the lock file has changed since."""
    home = os.path.join(ROOT, "build", "npm")
    os.makedirs(home, exist_ok=True)
    with open(LOCK_FILE, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    stamp = os.path.join(home, "installed")
    with open(os.path.join(home, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(stamp) or pathlib.Path(stamp).read_text(encoding="utf-8") != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(HERE, "s3", name), home)
            subprocess.run(["npm", "--prefix", home, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=600)
            with open(stamp, "w", encoding="utf-8") as file:
                file.write(wanted)
    return os.path.join(home, "node_modules")


def signature_of(secret, method, path, query, headers, signed, payload, stamp, region):
    """`headers`: lower-case name -> value; `signed`: names in order; `path`, `query`: as they are on the wire."""
    canonical = "\n".join([method, path or "/", query, *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
                           "", ";".join(signed), payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class S3Server:
    """`with S3Server("weights") as s3: s3.put("a/b", b"..."); s3.url`"""

    def __init__(self, bucket):
        self.bucket = bucket

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ebb-s3-")
        # s3rver's continuation tokens are DES, which OpenSSL 3 keeps among what is outdated.
        self._process = subprocess.Popen(
            ["node", "--openssl-legacy-provider", os.path.join(HERE, "s3", "server.js"), self._folder.name, self.bucket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "EBB_S3_MODULES": modules()})
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            raise AssertionError(f"s3rver did not start: {line!r}")
        self.port = int(line)
        self.url = f"http://127.0.0.1:{self.port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        return self

    def __exit__(self, *_):
        self._connection.close()
        self._process.stdin.close()
        self._process.stdout.close()
        if self._process.wait(timeout=30) != 0:
            raise AssertionError("s3rver failed")
        self._folder.cleanup()

    def _ask(self, method, key, body=b""):
        path = f"/{self.bucket}/{urllib.parse.quote(key, safe='/-._~')}"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        payload = hashlib.sha256(body).hexdigest()
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-content-sha256": payload, "x-amz-date": stamp}
        signed = sorted(headers)
        signature = signature_of(SECRET, method, path, "", headers, signed, payload, stamp, "us-east-1")
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={KEY}/{stamp[:8]}/us-east-1/s3/aws4_request, "
                                    f"SignedHeaders={';'.join(signed)}, Signature={signature}")
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (ConnectionError, http.client.BadStatusLine):  # it closes connections that were idle for 5 s
            self._connection.close()
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 204):
            raise AssertionError(f"{method} {key}: {answer.status} {text[:300]!r}")

    def put(self, key, body):
        self._ask("PUT", key, body)

    def delete(self, key):
        self._ask("DELETE", key)
