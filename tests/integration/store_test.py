#!/usr/bin/env python3
"""The S3 adapter and the verifier against a real S3 server, against AWS's published signatures, and against servers
that deny, hang, or have another time. store-probe is the daemon's own code behind a command line."""
import http.server
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import s3_server
import snapshot_files
from harness import BIN

INDEX = "model.safetensors.index.json"
SECRETS = {"EBB_TEST_KEY": "AKIDEXAMPLE", "EBB_TEST_SECRET": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
           "EBB_TEST_TOKEN": "FwoGZXIvYXdzE/+=="}


def probe(options, *words):
    environment = {**os.environ, **SECRETS, "EBB_S3RVER": s3_server.KEY}
    run = subprocess.run([os.path.join(BIN, "store-probe"), json.dumps(options), *map(str, words)], env=environment,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        raise AssertionError(f"store-probe {words}: {run.stderr}")
    return json.loads(run.stdout)


def tensor_file(tensors, size=64):
    header, at = {}, 0
    for name in tensors:
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"w" * at


def model(shards):
    """{file: bytes} of a snapshot with so many files of weights."""
    files, weight_map = {"config.json": b"{}"}, {}
    for i in range(shards):
        tensors = [f"model.layers.{i}.{part}.weight" for part in ("up_proj", "down_proj", "gate_proj", "norm")]
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        files[name] = tensor_file(tensors)
        weight_map.update({tensor: name for tensor in tensors})
    files[INDEX] = json.dumps({"metadata": {"version": "000001"}, "weight_map": weight_map}).encode()
    return files


class Server:
    """Answers with what `respond(method, path, headers)` returns: (status, body); None: never."""

    def __init__(self, respond):
        self.seen = seen = []
        stopped = self._stopped = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                answer = respond(self.command, self.path, self.headers)
                if answer is None:
                    stopped.wait(60)
                    return
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            do_GET = do_DELETE = answer

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listing(files):
    rows = "".join(f"<Contents><Key>{k}</Key><Size>{n}</Size></Contents>" for k, n in files.items())
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()


def error(code):
    return f"<Error><Code>{code}</Code><Message>words</Message></Error>".encode()


class Signatures(unittest.TestCase):
    def test_the_reference_computes_awss_published_signatures(self):
        """docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: the examples GET Object, GET Bucket
        Lifecycle and Get Bucket (List Objects)."""
        for path, query, extra, expected in (
                ("/test.txt", "", {"range": "bytes=0-9"},
                 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
                ("/", "lifecycle=", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
                ("/", "max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")):
            headers = {"host": "examplebucket.s3.amazonaws.com", "x-amz-content-sha256": s3_server.EMPTY,
                       "x-amz-date": "20130524T000000Z", **extra}
            self.assertEqual(
                s3_server.signature_of("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "GET", path, query, headers,
                                       sorted(headers), s3_server.EMPTY, "20130524T000000Z", "us-east-1"), expected)

    def test_every_request_is_signed_as_aws_computes_it(self):
        odd = "step+1=a:b@c"
        name = "d e/\u00e4%20&+?#=~'(1)*.bin"
        answers = {"list": listing({f"run 7/{odd}/x": 1})}
        with Server(lambda method, path, _: (204, b"") if method == "DELETE" else
                    (200, answers["list"]) if "list-type" in path else (206, b"abcd")) as server:
            options = {"store": "s3://weights/run 7", "endpoint": server.url, "region": "eu-central-1",
                       "key": "env:EBB_TEST_KEY", "secret": "env:EBB_TEST_SECRET"}
            self.assertEqual(probe(options, "read", odd, name, 5, 4)["text"], "abcd")
            self.assertTrue(probe({**options, "token": "env:EBB_TEST_TOKEN"}, "list", odd)["ok"])
            self.assertTrue(probe(options, "identities")["ok"])
            self.assertTrue(probe(options, "remove", odd)["ok"])
            by_host = {**options, "path_style": False, "endpoint": server.url.replace("127.0.0.1", "localhost")}
            self.assertEqual(probe(by_host, "read", odd, name, 5, 4)["text"], "abcd")
            self.assertTrue(server.seen[-1][2]["host"].startswith("weights.localhost:"), server.seen[-1])
            self.assertFalse(server.seen[-1][1].startswith("/weights/"), server.seen[-1])
        self.assertGreaterEqual(len(server.seen), 5)
        for method, target, headers in server.seen:
            path, _, query = target.partition("?")
            said = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                                r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", headers["authorization"])
            self.assertTrue(said, headers["authorization"])
            key, day, region, names, signature = said.groups()
            signed = names.split(";")
            self.assertEqual((key, region), ("AKIDEXAMPLE", "eu-central-1"))
            self.assertEqual(signed, sorted(signed))
            self.assertLessEqual({"host", "x-amz-date", "x-amz-content-sha256"}, set(signed))
            self.assertTrue(all(name in headers for name in signed), f"{signed} of {sorted(headers)}")
            self.assertEqual("x-amz-security-token" in headers, "x-amz-security-token" in signed)
            self.assertEqual(query, "&".join(sorted(query.split("&"))))
            stamp = headers["x-amz-date"]
            self.assertEqual(stamp[:8], day)
            self.assertEqual(signature, s3_server.signature_of(
                SECRETS["EBB_TEST_SECRET"], method, path, query, headers, signed, headers["x-amz-content-sha256"], stamp,
                region), f"{method} {target}")
        tokens = [headers for _, _, headers in server.seen if "x-amz-security-token" in headers]
        self.assertEqual([h["x-amz-security-token"] for h in tokens], [SECRETS["EBB_TEST_TOKEN"]])


class RealServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s3 = s3_server.S3Server("weights").__enter__()
        cls.addClassCleanup(cls.s3.__exit__)
        cls.options = {"store": "s3://weights/run7", "endpoint": cls.s3.url, "key": "env:EBB_S3RVER",
                       "secret": "env:EBB_S3RVER"}

    def upload(self, identity, files):
        for name, body in files.items():
            self.s3.put(f"run7/{identity}/{name}", body)

    def ask(self, *words, **options):
        return probe({**self.options, **options}, *words)

    def test_1500_keys_are_listed_over_several_pages(self):
        files = {f"{i:05}": b"" if i else b"first" for i in range(1500)}
        self.upload("many", files)
        answer = self.ask("list", "many")
        self.assertEqual(answer["files"], {name: len(body) for name, body in files.items()})
        self.assertIn("many", self.ask("identities")["identities"])
        self.assertTrue(self.ask("remove", "many", deadline_ms=60_000)["ok"])
        self.assertEqual(self.ask("list", "many")["code"], "not_found")

    def test_ranges_are_read_and_odd_names_are_found(self):
        odd = "a b+c&d%20e=f~(1)\u00e4.bin"
        self.upload("odd", {odd: b"0123456789", "sub/x": b"1"})
        self.assertEqual(self.ask("list", "odd")["files"], {odd: 10, "sub/x": 1})
        self.assertEqual(self.ask("read", "odd", odd, 3, 4)["text"], "3456")
        self.assertEqual(self.ask("read", "odd", odd, 8, 4)["text"], "89")
        self.assertEqual(self.ask("read", "odd", "nothing", 0, 4)["code"], "not_found")
        self.assertTrue(self.ask("remove", "odd")["ok"])
        self.assertEqual(self.ask("list", "odd")["code"], "not_found")

    def test_a_snapshot_is_waited_for_until_its_last_file_is_there(self):
        files = model(12)
        late = "model-00007-of-00012.safetensors"
        index = files.pop(INDEX)
        self.assertIn("nothing at", self.ask("verify", "step-1", "full")["reason"])
        self.upload("step-1", {name: body for name, body in files.items() if name != late})
        answer = self.ask("verify", "step-1", "full")
        self.assertEqual((answer["kind"], answer["reason"]), ("waiting", f"{INDEX} is missing"))
        self.upload("step-1", {INDEX: index})
        answer = self.ask("verify", "step-1", "full")
        self.assertEqual((answer["kind"], answer["reason"]), ("waiting", f"{late} is missing"))
        self.upload("step-1", {late: files[late]})
        answer = self.ask("verify", "step-1", "full")
        self.assertEqual((answer["kind"], answer["bytes"]), ("verified", sum(map(len, files.values())) + len(index)),
                         answer)

    def test_a_truncated_file_is_named(self):
        files = model(4)
        short = "model-00003-of-00004.safetensors"
        files[short] = files[short][:-10]
        self.upload("step-2", files)
        answer = self.ask("verify", "step-2", "full")
        self.assertEqual(answer["kind"], "malformed")
        self.assertIn(short, answer["reason"])

    def test_increments_of_slimes_format_are_verified_against_their_parent(self):
        first = snapshot_files.first_weights(7)
        second = snapshot_files.trained(first, 7, 1)
        with tempfile.TemporaryDirectory(prefix="ebb-store-") as folder:
            snapshot_files.write_full(f"{folder}/base", first, 1)
            snapshot_files.write_increment(f"{folder}/next", second, 2, first, 1)
            snapshot_files.write_increment(f"{folder}/stray", second, 9, first, 8)
            for identity in ("base", "next", "stray"):
                self.upload(identity, {file.name: file.read_bytes() for file in pathlib.Path(folder, identity).iterdir()})
            self.assertEqual(self.ask("verify", "base", "full")["kind"], "verified")
            self.assertEqual(self.ask("verify", "next", "incremental", "base")["kind"], "verified")
            answer = self.ask("verify", "stray", "incremental", "base")
            self.assertEqual(answer["kind"], "malformed")
            self.assertIn("base_version is 000008", answer["reason"])
            # The same on disk: what is wrong there may still be being written.
            for identity, kind in (("base", "verified"), ("next", "verified"), ("stray", "waiting")):
                words = ("full",) if identity == "base" else ("incremental", "base")
                self.assertEqual(probe({"store": folder}, "verify", identity, *words)["kind"], kind)

    def test_a_bucket_that_is_not_there_is_named(self):
        answer = self.ask("list", "step-1", store="s3://no-such-bucket/run7")
        self.assertEqual(answer["code"], "invalid")
        self.assertIn("there is no bucket no-such-bucket", answer["what"])


class BadServers(unittest.TestCase):
    OPTIONS = {"store": "s3://weights/run7", "key": "env:EBB_TEST_KEY", "secret": "env:EBB_TEST_SECRET"}

    def test_a_bucket_that_lists_but_denies_reads_says_which_right_is_missing(self):
        files = {f"run7/step-1/{name}": len(body) for name, body in model(4).items()}
        with Server(lambda _, path, __: (200, listing(files)) if "list-type" in path else (403, error("AccessDenied"))
                    ) as server:
            answer = probe({**self.OPTIONS, "endpoint": server.url}, "verify", "step-1", "full")
        self.assertEqual(answer["kind"], "waiting")
        self.assertIn("AccessDenied", answer["reason"])
        self.assertIn("needs s3:ListBucket and s3:GetObject", answer["reason"])
        for secret in SECRETS.values():
            self.assertNotIn(secret, answer["reason"])

    def test_a_server_that_hangs_holds_nobody_past_the_deadline(self):
        with Server(lambda *_: None) as server:
            begun = time.monotonic()
            answer = probe({**self.OPTIONS, "endpoint": server.url, "deadline_ms": 1500}, "verify", "step-1", "full")
            self.assertLess(time.monotonic() - begun, 15)
            self.assertLess(answer["ms"], 1700)
            self.assertEqual(answer["kind"], "waiting")
            answer = probe({**self.OPTIONS, "endpoint": server.url, "deadline_ms": 1500}, "list", "step-1")
            self.assertEqual(answer["code"], "timeout")

    def test_another_time_is_said_to_be_the_clock(self):
        with Server(lambda *_: (403, error("RequestTimeTooSkewed"))) as server:
            answer = probe({**self.OPTIONS, "endpoint": server.url, "deadline_ms": 1500}, "list", "step-1")
        self.assertEqual(answer["code"], "denied")
        self.assertIn("clock is too far from the store's: set it (NTP)", answer["what"])

    def test_a_busy_server_is_asked_again(self):
        answers = [(503, error("SlowDown")), (500, b""), (429, b"busy"), (200, listing({"run7/step-1/a": 3}))]
        with Server(lambda *_: answers.pop(0)) as server:
            answer = probe({**self.OPTIONS, "endpoint": server.url}, "list", "step-1")
        self.assertEqual(answer.get("files"), {"a": 3}, answer)
        self.assertEqual(len(server.seen), 4)

    def test_nobody_there_is_unreachable(self):
        with Server(lambda *_: None) as server:
            url = server.url
        answer = probe({**self.OPTIONS, "endpoint": url, "deadline_ms": 800}, "list", "step-1")
        self.assertEqual(answer["code"], "unreachable")


if __name__ == "__main__":
    unittest.main()
