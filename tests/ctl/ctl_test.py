"""ebbctl as a program: tables, JSON, exit statuses, and what it says when something is wrong.

EBB_UPDATE_GOLDEN=1 writes tests/golden/ctl/ anew.
"""
import http.server
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

BIN = os.environ["EBB_BIN_DIR"]
GOLDEN = os.path.join(os.environ["EBB_SOURCE_DIR"], "tests", "golden", "ctl")


class Server:
    """api-demo-server whose day stands still, so that its answers are always the same."""

    def __init__(self, *args):
        self.process = subprocess.Popen([f"{BIN}/api-demo-server", "--warm-up", "90", "--interval-ms", "0", *args],
                                        stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if k not in ("EBB_URL", "EBB_TOKEN_FILE", "NO_COLOR")}
    return {**kept, "USER": "tester", **more}


def ebbctl(*args, url=None, **env):
    where = ["--url", url] if url else []
    return subprocess.run([f"{BIN}/ebbctl", *where, *args], capture_output=True, text=True, timeout=60, env=environment(**env))


class Tables(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def run_ok(self, *args):
        done = ebbctl(*args, url=self.server.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_golden(self):
        for name, args in {
            "status": ["status"], "pools": ["pools"], "services": ["services"], "jobs": ["jobs"], "replicas": ["replicas"],
            "decisions": ["decisions", "--limit", "12", "--before", "80"], "overrides": ["overrides"],
            "explain": ["explain", "--tick", "50"], "explain_at": ["explain", "--at", "2026-03-01T00:00:50.500Z"],
        }.items():
            with self.subTest(name):
                text = self.run_ok(*args)
                self.assertNotIn("\033", text, "no colour into a pipe")
                path = os.path.join(GOLDEN, name + ".txt")
                if os.environ.get("EBB_UPDATE_GOLDEN"):
                    os.makedirs(GOLDEN, exist_ok=True)
                    with open(path, "w") as file:
                        file.write(text)
                with open(path) as file:
                    self.assertEqual(text, file.read())

    def test_json_everywhere(self):
        for args in (["status"], ["pools"], ["services"], ["jobs"], ["replicas"], ["decisions"], ["explain"], ["overrides"],
                     ["top", "--count", "1"]):
            with self.subTest(args[0]):
                self.assertIsInstance(json.loads(self.run_ok(*args, "--json")), dict)
                self.assertIsInstance(json.loads(self.run_ok("--json", *args)), dict)

    def test_explains_the_newest_by_default(self):
        self.assertEqual(self.run_ok("explain"), self.run_ok("explain", "latest"))
        self.assertIn("tick 90", self.run_ok("explain"))
        self.assertEqual(self.run_ok("explain", "--tick", "50"), self.run_ok("explain", "--at", "2026-03-01T00:00:50Z"))

    def test_filters(self):
        self.assertNotIn("chat@p", self.run_ok("replicas", "--deployment", "rl@p"))
        self.assertIn("no replicas", self.run_ok("replicas", "--phase", "lost"))
        self.assertNotIn("nothing to do", self.run_ok("decisions", "--changed"))

    def test_top_shows_everything(self):
        text = self.run_ok("top", "--count", "2", "--interval", "100ms")
        for word in ("mode act", "IN FLIGHT", "ROLLOUTS", "reserve"):
            self.assertIn(word, text)

    def test_the_url_may_come_from_the_environment(self):
        self.assertEqual(ebbctl("pools", EBB_URL=self.server.url).returncode, 0)
        self.assertEqual(ebbctl("pools", "--server", self.server.url + "/").returncode, 0)


class Writes(unittest.TestCase):
    def test_freeze_and_unfreeze(self):
        with Server() as server:
            done = ebbctl("freeze", "rl", "--reason", "incident", "--ttl", "30m", url=server.url)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("freeze of rl until", done.stdout)
            ebbctl("freeze", "--reason", "all", url=server.url)
            ebbctl("drain", "rl@p", "--reason", "driver", url=server.url)
            ebbctl("pin", "rl@p", "2", "--reason", "bench", "--owner", "ann", url=server.url)
            listed = json.loads(ebbctl("overrides", "--json", url=server.url).stdout)["overrides"]
            self.assertEqual(sorted((o["kind"], o["target"], o["owner"]) for o in listed),
                             [("drain_all", "rl@p", "tester"), ("freeze", "", "tester"), ("freeze", "rl", "tester"),
                              ("pin", "rl@p", "ann")])
            self.assertEqual(ebbctl("unfreeze", "rl", url=server.url).returncode, 0)
            self.assertEqual(ebbctl("unfreeze", url=server.url).returncode, 0)
            nothing = ebbctl("unfreeze", url=server.url)
            self.assertEqual(nothing.returncode, 1)
            self.assertIn("nothing is frozen", nothing.stderr)
            drain = next(o["id"] for o in listed if o["kind"] == "drain_all")
            self.assertEqual(ebbctl("overrides", "--end", drain, url=server.url).returncode, 0)
            self.assertEqual(ebbctl("overrides", "--end", drain, url=server.url).returncode, 1)
            self.assertIn("pin at 2", ebbctl("overrides", url=server.url).stdout)

    def test_demand(self):
        with Server() as server:
            done = ebbctl("demand", "rl", "--replicas", "3", url=server.url)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("job rl asks for 3", done.stdout)
            self.assertIn("3 replicas until", ebbctl("jobs", url=server.url).stdout)
            self.assertEqual(ebbctl("demand", "nobody", "--replicas", "3", url=server.url).returncode, 1)


class ExitStatus(unittest.TestCase):
    def test_usage_is_2(self):
        for args in ([], ["nonsense"], ["freeze"], ["explain", "--tick", "x"], ["explain", "--tick", "1", "--at", "y"],
                     ["explain", "yesterday"], ["demand", "rl"], ["demand", "rl", "--replicas", "1", "--rollouts", "2"],
                     ["decisions", "--limit", "0"], ["top", "--interval", "1"], ["pools", "--url", "nonsense://x"]):
            with self.subTest(" ".join(args)):
                self.assertEqual(ebbctl(*args).returncode, 2)

    def test_help_and_version_are_0(self):
        for args in (["--help"], ["explain", "--help"], ["--version"]):
            self.assertEqual(ebbctl(*args).returncode, 0)

    def test_unreachable_is_3_and_says_what_to_do(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can answer there
            done = ebbctl("status", url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        self.assertEqual(done.returncode, 3)
        self.assertIn("EBB_URL", done.stderr)

    def test_not_authorised_is_4(self):
        with tempfile.TemporaryDirectory() as home:
            right, wrong = os.path.join(home, "right"), os.path.join(home, "wrong")
            for path, text in ((right, "right-token\n"), (wrong, "wrong-token\n")):
                with open(path, "w") as file:
                    file.write(text)
            with Server("--token-file", right) as server:
                self.assertEqual(ebbctl("status", "--token-file", right, url=server.url).returncode, 0)
                self.assertEqual(ebbctl("status", url=server.url, EBB_TOKEN_FILE=right).returncode, 0)
                for more in ([], ["--token-file", wrong], ["--token-file", os.path.join(home, "none")]):
                    done = ebbctl("status", *more, url=server.url)
                    self.assertEqual(done.returncode, 4, done.stderr)
                    self.assertIn("--token-file", done.stderr)

    def test_unhealthy_is_5_and_only_of_status(self):
        with Server("--alarm") as server:
            done = ebbctl("status", url=server.url)
            self.assertEqual(done.returncode, 5)
            self.assertIn("leases.lost (rl@p-7-1)", done.stdout)
            self.assertEqual(ebbctl("pools", url=server.url).returncode, 0)

    def test_the_daemons_no_is_1(self):
        with Server() as server:
            done = ebbctl("freeze", "nowhere", "--reason", "x", url=server.url)
            self.assertEqual(done.returncode, 1)
            self.assertIn("there is no 'nowhere'", done.stderr)
            self.assertEqual(ebbctl("explain", "--tick", "99999", url=server.url).returncode, 1)
            self.assertEqual(ebbctl("freeze", "--reason", "x", "--ttl", "soon", url=server.url).returncode, 1)


class Stranger(http.server.BaseHTTPRequestHandler):
    """Something on that port that is not ebbd."""
    answers = {}

    def do_GET(self):
        body = self.answers.get(self.path, b"<html>hello</html>")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Strangers(unittest.TestCase):
    def test_answers_of_somebody_else_are_an_error_not_a_crash(self):
        Stranger.answers = {"/v1/pools": b'{"pools":[{"name":7}]}', "/v1/jobs": b"[1,2]",
                            "/v1/overrides": b'{"overrides":[{"id":"\\u001b[2Jx","kind":"freeze","target":"","owner":"\\u001b]0;o",'
                                             b'"reason":"r","replicas":0,"expires_in_s":5}]}'}
        server = http.server.HTTPServer(("127.0.0.1", 0), Stranger)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        for command in ("status", "pools", "jobs", "explain"):
            done = ebbctl(command, url=url)
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("?", done.stderr)
        self.assertNotIn("\033", ebbctl("overrides", url=url).stdout)


class Trainer(http.server.BaseHTTPRequestHandler):
    """Answers as the trainer's part of the API does: a snapshot serves at the third look."""
    looks = 0
    published = []
    ending = "serving"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        Trainer.published.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(201, {"identity": "b", "phase": "published"})

    def do_GET(self):
        Trainer.looks += 1
        ended = Trainer.looks >= 3
        replica = {"deployment": "rl@p", "replica": "r0", "phase": "serving" if ended else "loading", "error": "",
                   "identity": "b" if ended else "a", "target": "b"}
        self.answer(200, {"identity": "b", "kind": "incremental", "phase": Trainer.ending if ended else "loading",
                          "reason": "", "ended": ended, "replicas": [replica]})

    def log_message(self, *_):
        pass


class Publishing(unittest.TestCase):
    def publish(self, ending, *args):
        Trainer.looks, Trainer.published, Trainer.ending = 0, [], ending
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trainer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            done = ebbctl("publish", "rl", "b", *args, url=f"http://127.0.0.1:{server.server_address[1]}")
            server.shutdown()
        return done

    def test_waits_until_it_serves(self):
        done = self.publish("serving", "--parent", "a", "--step", "7", "--wait")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("[##########]", done.stdout)
        self.assertEqual(Trainer.published, [{"identity": "b", "kind": "incremental", "previous_identity": "a", "step": 7}])

    def test_a_failure_is_an_exit_status(self):
        self.assertEqual(self.publish("failed", "--wait").returncode, 1)

    def test_without_wait_it_only_says_so(self):
        done = self.publish("serving")
        self.assertEqual((done.returncode, done.stdout), (0, "b is published\n"))
        self.assertEqual(Trainer.looks, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
