"""ebb-pull as a program: exit statuses, an S3 store that checks signatures, kill -9 at random moments, a full disk."""
import http.client
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from s3_server import S3

BIN = os.environ["EBB_BIN_DIR"]
SEED = int(os.environ.get("EBB_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = int(os.environ.get("EBB_KILLS", "12"))


def write_chain(root, increments=2, encoding="xor", shards=3, shard_bytes=300_000, values=0.02):
    subprocess.run([f"{BIN}/ebb-pull-chain", root, str(SEED), str(increments), encoding, str(shards), str(shard_bytes), str(values)],
                   check=True, timeout=120)


def contents(folder):
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                found[os.path.relpath(os.path.join(place, name), folder)] = file.read()
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="ebb-pull-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.local = os.path.join(self.root, "local")
        self.secret_file = os.path.join(self.root, "secret")

    def environment(self):
        return {**{k: v for k, v in os.environ.items() if not k.startswith("EBB_PULL_")}, "KEY_ID": "AKIDEXAMPLE"}

    def command(self, *words, store=None):
        return [f"{BIN}/ebb-pull", "--store", store or os.path.join(self.root, "store"), "--directory", self.local,
                "--part-size", "64K", *words]

    def run_pull(self, *words, store=None, **more):
        return subprocess.run(self.command(*words, store=store), capture_output=True, text=True, timeout=120,
                              env=self.environment(), **more)

    def s3(self, **knobs):
        server = S3(os.path.join(self.root, "store"), **knobs)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        with open(self.secret_file, "w") as file:
            file.write(server.secret + "\n")
        return server

    def s3_words(self, server, path_style=True):
        words = ["--endpoint", server.endpoint, "--region", server.region, "--access-key-id", "env:KEY_ID",
                 "--secret-access-key", f"file:{self.secret_file}"]
        return words + (["--path-style"] if path_style else [])

    def assert_weights(self, identity):
        here = contents(os.path.join(self.local, identity))
        for name, data in contents(os.path.join(self.root, "want", identity)).items():
            self.assertTrue(here.get(name) == data, f"{identity}/{name} is not what the trainer had")

    def assert_only_whole_ones_are_visible(self):
        for identity in os.listdir(self.local):
            if not identity.startswith("."):
                self.assert_weights(identity)


class Programs(Case):
    def test_gets_a_chain_and_prints_its_directory(self):
        write_chain(self.root)
        done = self.run_pull("get", "inc2", "--path", "full,inc1,inc2")
        self.assertEqual((done.returncode, done.stdout), (0, f"{self.local}/inc2\n"), done.stderr)
        self.assert_weights("inc2")
        self.assertEqual(self.run_pull("get", "inc2", "--chain", "full,inc1,inc2").returncode, 0)

    def test_exit_statuses_tell_what_may_be_asked_again(self):
        write_chain(self.root)
        self.assertEqual(self.run_pull("get", "absent").returncode, 1)
        self.assertEqual(self.run_pull("get", "inc2", "--path", "full,inc2").returncode, 3)
        self.assertEqual(self.run_pull("get").returncode, 2)
        self.assertEqual(self.run_pull("get", "full", store="ftp://nowhere").returncode, 2)
        self.assertEqual(self.run_pull("--secret-access-key", "hunter2", "get", "full").returncode, 2)
        refused = self.run_pull("serve", "--listen", "0.0.0.0:0")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--token", refused.stderr)
        self.assertEqual(self.run_pull("--help").returncode, 0)

    def test_a_full_disk_is_said_and_mended(self):
        write_chain(self.root, increments=1)
        # Files may not grow beyond this, as on a disk that fills up while somebody else writes to it.
        done = self.run_pull("get", "inc1", "--path", "full,inc1",
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assert_only_whole_ones_are_visible()
        self.assertEqual(self.run_pull("get", "inc1", "--path", "full,inc1").returncode, 0)
        self.assert_weights("inc1")

    def test_a_small_disk_is_noticed_before_anything_is_fetched(self):
        if os.geteuid() != 0:
            self.assert_refuses_what_no_disk_holds()
            return
        write_chain(self.root, increments=1, shards=2, shard_bytes=4_000_000)
        os.mkdir(self.local)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", self.local], capture_output=True)
        if mounted.returncode != 0:  # root without the right to mount, in a container
            self.assert_refuses_what_no_disk_holds()
            return
        self.addCleanup(subprocess.run, ["umount", self.local])
        done = self.run_pull("get", "full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("MiB more are needed", done.stderr)

    def assert_refuses_what_no_disk_holds(self):
        os.makedirs(os.path.join(self.root, "store", "vast"))
        with open(os.path.join(self.root, "store", "vast", "config.json"), "w") as file:
            file.truncate(1 << 43)
        done = self.run_pull("get", "vast")
        self.assertEqual(done.returncode, 1)
        self.assertIn("MiB more are needed", done.stderr)

    def test_an_interrupt_leaves_what_arrived(self):
        write_chain(self.root)
        server = self.s3()
        server.slow.set()
        process = subprocess.Popen(self.command(*self.s3_words(server), "get", "full", store="s3://weights"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment())
        self.wait_for(lambda: len(server.requests) > 3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 4)
        server.slow.clear()
        server.go.set()
        self.assertEqual(self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights").returncode, 0)
        self.assert_weights("full")

    def wait_for(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited too long")
            time.sleep(0.005)


class Stores(Case):
    def test_requests_are_signed_as_aws_says(self):
        write_chain(self.root)
        server = self.s3(token="session/token==")
        token_file = os.path.join(self.root, "token")
        with open(token_file, "w") as file:
            file.write(server.token)
        os.rename(f"{self.root}/store/full/tokenizer/vocab.txt", f"{self.root}/store/full/tokenizer/vo cab+&=ä.txt")
        done = self.run_pull(*self.s3_words(server), "--session-token", f"file:{token_file}", "get", "inc2", "--path", "full,inc1,inc2",
                             store="s3://weights")
        self.assertEqual((done.returncode, server.problems), (0, []), done.stderr)
        self.assert_weights("inc2")
        self.assertTrue(os.path.exists(f"{self.local}/inc2/tokenizer/vo cab+&=ä.txt"))
        lists = [path for path, _ in server.requests if "list-type=2" in path]
        self.assertGreater(len(lists), 3, "pages were followed")
        ranges = [headers for path, headers in server.requests if "?" not in path]
        self.assertTrue(all("Range" in headers and "If-Match" in headers for headers in ranges))

    def test_the_bucket_may_be_in_the_hosts_name(self):
        write_chain(self.root, increments=0)
        server = self.s3(virtual_host=True, bucket="weights")
        # *.localhost is this host (RFC 6761), for libcurl too.
        server_words = self.s3_words(server, path_style=False)
        server_words[1] = server_words[1].replace("127.0.0.1", "localhost")
        done = self.run_pull(*server_words, "get", "full", store="s3://weights")
        self.assertEqual((done.returncode, server.problems), (0, []), done.stderr)
        self.assert_weights("full")

    def test_a_prefix_is_part_of_every_key(self):
        write_chain(self.root, increments=0)
        server = self.s3()
        server.root = self.root
        done = self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights/store/")
        self.assertEqual((done.returncode, server.problems), (0, []), done.stderr)
        self.assert_weights("full")

    def test_what_may_pass_is_tried_again(self):
        write_chain(self.root, increments=0)
        server = self.s3()
        server.faults = ["drop", (503, "SlowDown"), None, (500, "InternalError"), "short", "drop", (429, "Slow")]
        done = self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_weights("full")

    def test_refusals_are_told_and_not_repeated(self):
        write_chain(self.root, increments=0)
        for fault, status, says in [((403, "AccessDenied"), 3, "AccessDenied: so it is"),
                                    ((403, "RequestTimeTooSkewed"), 3, "is this host's clock right?"),
                                    ((301, "PermanentRedirect"), 3, "check --region and --endpoint"),
                                    ((404, "NoSuchBucket"), 1, "NoSuchBucket")]:
            server = self.s3()
            server.faults = [fault]
            done = self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights")
            self.assertEqual((done.returncode, len(server.requests)), (status, 1), done.stderr)
            self.assertIn(says, done.stderr)

    def test_a_wrong_secret_is_noticed(self):
        write_chain(self.root, increments=0)
        server = self.s3()
        with open(self.secret_file, "w") as file:
            file.write("another")
        done = self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights")
        self.assertEqual(done.returncode, 3)
        self.assertEqual(server.problems, ["the signature is another one"])
        self.assertNotIn("another", done.stderr)

    def test_an_object_that_changes_meanwhile_is_taken_anew(self):
        write_chain(self.root, increments=0)
        server = self.s3()
        server.slow.set()
        process = subprocess.Popen(self.command(*self.s3_words(server), "--parallel", "2", "get", "full", store="s3://weights"),
                                   stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment())
        deadline = time.monotonic() + 30
        while sum("?" not in path for path, _ in server.requests) < 2:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        for name in os.listdir(f"{self.root}/store/full"):
            os.utime(f"{self.root}/store/full/{name}", ns=(1, 1))
        server.slow.clear()
        server.go.set()
        _, said = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("the object has changed", said)
        self.assertEqual(self.run_pull(*self.s3_words(server), "get", "full", store="s3://weights").returncode, 0)
        self.assert_weights("full")


class Kills(Case):
    """kill -9 at random moments: what is visible is whole, and the next run ends with every byte right."""

    def kill_until_it_is_done(self, words, store, longest):
        chance = random.Random(SEED)
        kills = 0
        for _ in range(KILLS):
            process = subprocess.Popen(self.command(*words, store=store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env=self.environment())
            try:
                process.wait(chance.uniform(0, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            process.wait(30)
            if os.path.isdir(self.local):
                self.assert_only_whole_ones_are_visible()
        done = self.run_pull(*words, store=store)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.listdir(f"{self.local}/.ebb-pull/build"), [])
        return kills

    def how_long(self, words, store):
        started = time.monotonic()
        self.assertEqual(self.run_pull(*words, store=store).returncode, 0)
        shutil.rmtree(self.local)
        return time.monotonic() - started

    def test_during_a_download_nothing_is_lost_and_nothing_fetched_twice(self):
        write_chain(self.root, increments=0, shards=6, shard_bytes=2_000_000)
        server = self.s3()
        words = [*self.s3_words(server), "--parallel", "2", "get", "full"]
        longest = self.how_long(words, "s3://weights")
        server.bytes_sent = 0
        kills = self.kill_until_it_is_done(words, "s3://weights", longest)
        self.assertGreater(kills, 0)
        self.assert_weights("full")
        whole = sum(len(data) for data in contents(f"{self.root}/store/full").values())
        # A kill loses what was under way: two parts, and what the server had sent ahead.
        self.assertLess(server.bytes_sent, whole + (kills + 1) * 8 * 65_536)

    def test_during_an_apply_nothing_half_done_is_ever_visible(self):
        for encoding in ("xor", "overwrite"):
            with self.subTest(encoding):
                shutil.rmtree(self.root)
                os.mkdir(self.root)
                write_chain(self.root, increments=3, encoding=encoding, shards=4, shard_bytes=2_000_000)
                self.assertEqual(self.run_pull("get", "full").returncode, 0)
                words = ["get", "inc3", "--path", "full,inc1,inc2,inc3"]
                started = time.monotonic()
                self.assertEqual(self.run_pull(*words).returncode, 0)
                longest = time.monotonic() - started
                shutil.rmtree(self.local)
                self.kill_until_it_is_done(words, None, longest * 1.2)
                self.assert_weights("inc3")


class Listeners(Case):
    def serve(self, *words):
        process = subprocess.Popen(self.command("serve", "--listen", "127.0.0.1:0", *words), stderr=subprocess.PIPE, text=True,
                                   env=self.environment())
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        return process, int(re.search(r"port=(\d+)", process.stderr.readline()).group(1))

    def ask(self, port, method, path, body=None):
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        link.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"} if body else {})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        return answer.status, json.loads(text)

    def test_serves_and_ends_in_peace(self):
        write_chain(self.root)
        process, port = self.serve()
        path = [{"identity": "full", "kind": "full", "parent": None}, {"identity": "inc1", "kind": "incremental", "parent": "full"}]
        self.assertEqual(self.ask(port, "PUT", "/v1/snapshots/inc1", {"path": path})[0], 202)
        deadline = time.monotonic() + 60
        while (state := self.ask(port, "GET", "/v1/snapshots/inc1")[1])["state"] == "pulling":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertEqual((state["state"], state["directory"]), ("ready", f"{self.local}/inc1"), state)
        self.assert_weights("inc1")
        self.assertEqual(self.ask(port, "PUT", "/v1/snapshots/x", {"path": [], "y": 1})[0], 400)
        self.assertEqual(self.run_pull("get", "full").returncode, 2, "the directory is taken")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)


if __name__ == "__main__":
    print(f"seed {SEED} (EBB_SEED), {KILLS} kills (EBB_KILLS)", flush=True)
    unittest.main()
