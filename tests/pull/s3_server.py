"""An S3 endpoint for tests: ListObjectsV2 in pages and range GETs out of a directory, with its own check of AWS Signature
Version 4 after AWS's documentation, which shares no code with libcurl. Knobs say what goes wrong."""
import hashlib
import hmac
import http.server
import os
import threading
import urllib.parse
from xml.sax.saxutils import escape

EMPTY = hashlib.sha256(b"").hexdigest()


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class S3(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root, bucket="weights", key="AKIDEXAMPLE", secret="secret/with+signs=", token=None, region="eu-test-1",
                 page=3, virtual_host=False):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.bucket, self.key, self.secret, self.token = root, bucket, key, secret, token
        self.region, self.page, self.virtual_host = region, page, virtual_host
        self.lock = threading.Lock()
        self.requests, self.faults, self.problems = [], [], []
        self.bytes_sent = 0
        self.slow = threading.Event()
        self.go = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self):
        with self.lock:
            return self.faults.pop(0) if self.faults else None

    def handle_error(self, request, client_address):
        pass  # a client that was killed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def refuse(self, status, code):
        body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def signature_fault(self):
        """What is wrong with the signature, or None."""
        server = self.server
        given = self.headers.get("Authorization", "")
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return "no signature"
        fields = dict(part.strip().split("=", 1) for part in given.split(" ", 1)[1].split(","))
        signed = fields["SignedHeaders"].split(";")
        date = self.headers["x-amz-date"]
        scope = f"{date[:8]}/{server.region}/s3/aws4_request"
        if fields["Credential"] != f"{server.key}/{scope}":
            return f"the credential is {fields['Credential']}"
        for name in ["host", "x-amz-content-sha256", "x-amz-date"] + (["x-amz-security-token"] if server.token else []):
            if name not in signed:
                return f"{name} is not signed"
        if self.headers["x-amz-content-sha256"] != EMPTY:
            return "the body's hash is wrong"
        path, _, query = self.path.partition("?")
        pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&")) if query else []
        canonical = "\n".join(["GET", path, "&".join(pairs),
                               "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in signed),
                               ";".join(signed), EMPTY])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + server.secret).encode()
        for step in (date[:8], server.region, "s3", "aws4_request"):
            key = hmac256(key, step)
        wanted = hmac256(key, to_sign).hex()
        return None if hmac.compare_digest(wanted, fields["Signature"]) else "the signature is another one"

    def do_GET(self):
        server = self.server
        with server.lock:
            server.requests.append((self.path, dict(self.headers)))
        fault = server.next_fault()
        if fault == "drop":
            self.close_connection = True
            return
        if isinstance(fault, tuple):
            return self.refuse(*fault)
        wrong = self.signature_fault() if server.key else None
        if wrong is None and server.token and self.headers.get("x-amz-security-token") != server.token:
            wrong = "the session token is wrong"
        if wrong:
            server.problems.append(wrong)
            return self.refuse(403, "SignatureDoesNotMatch")
        path, _, query = self.path.partition("?")
        parts = urllib.parse.unquote(path)
        if server.virtual_host:
            if not self.headers["Host"].startswith(server.bucket + "."):
                return self.refuse(404, "NoSuchBucket")
        elif not parts.startswith("/" + server.bucket):
            return self.refuse(404, "NoSuchBucket")
        else:
            parts = parts[len(server.bucket) + 1:]
        if query:
            return self.list(dict(urllib.parse.parse_qsl(query, keep_blank_values=True)))
        self.get(parts.lstrip("/"), fault)

    def list(self, query):
        server = self.server
        keys = sorted(os.path.relpath(os.path.join(folder, name), server.root)
                      for folder, _, names in os.walk(server.root) for name in names)
        keys = [key for key in keys if key.startswith(query["prefix"]) and key > query.get("continuation-token", "")]
        page, rest = keys[:server.page], keys[server.page:]
        rows = "".join(f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{self.tag(key)}&quot;</ETag>"
                       f"<Size>{os.path.getsize(os.path.join(server.root, key))}</Size></Contents>" for key in page)
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if rest else ""
        body = (f'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{rows}{more}</ListBucketResult>").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def tag(self, key):
        info = os.stat(os.path.join(self.server.root, key))
        return f"{info.st_ino:x}-{info.st_size:x}-{info.st_mtime_ns:x}"

    def get(self, key, fault):
        server = self.server
        path = os.path.join(server.root, key)
        if not os.path.isfile(path):
            return self.refuse(404, "NoSuchKey")
        tag = f'"{self.tag(key)}"'
        if self.headers.get("If-Match", tag) != tag:
            return self.refuse(412, "PreconditionFailed")
        first, last = (int(number) for number in self.headers["Range"].removeprefix("bytes=").split("-"))
        with open(path, "rb") as file:
            file.seek(first)
            data = file.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", tag)
        self.end_headers()
        if server.slow.is_set():
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
            server.go.wait(60)
            data = data[len(data) // 2:]
        if fault == "short":
            data = data[:len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)
        with server.lock:
            server.bytes_sent += len(data)
