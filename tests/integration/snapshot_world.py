"""A World whose RL job loads snapshots: a store in its directory, one ebb-pull, engines with weight endpoints."""
import json
import os
import subprocess
import urllib.error
import urllib.request

from harness import BIN, CONFIG, World, wait_for

SNAPSHOTS = """\
    snapshots:
      enabled: true
      store: {store}
      hotload: {{kind: {dialect}, weights_from: ebb_pull, puller: "http://127.0.0.1:{pull_port}", update_timeout: 3s}}
      cadence: {{policy: every, snapshots: 25}}
      max_versions_behind: 0
      poll_interval: {poll}
      settle: {settle}
      retry_first: 100ms
      retry_max: 1s
      signal_timeout: 20s
      load_timeout: 60s
      verify_timeout: 20s
"""
SNAPSHOT_DEFAULTS = dict(dialect="vllm", load_time="100ms", poll="50ms", settle="3s", tokens="")


class SnapshotWorld(World):
    def __init__(self, **options):
        self.snapshots = {name: options.pop(name, default) for name, default in SNAPSHOT_DEFAULTS.items()}
        self.puller = None
        self.token = None
        super().__init__(**options)
        os.makedirs(self.store, exist_ok=True)

    @property
    def store(self):
        return os.path.join(self.dir, "store")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.api_port}"

    def command(self, model):
        args = json.loads(super().command(model))
        if model == "rl-model":
            args += ["--dev-mode", "--load-time", self.snapshots["load_time"], "--dialect", self.snapshots["dialect"]]
        return json.dumps(args)

    def write_config(self, extra=""):
        section = SNAPSHOTS.format(store=self.store, pull_port=self.pull_port, **self.snapshots)
        text = CONFIG.replace("    model: rl-model\n", "    model: rl-model\n{job_extra}")
        text = text.replace('api: {{listen: "127.0.0.1:{api_port}"}}', 'api: {{listen: "127.0.0.1:{api_port}"{api_extra}}}')
        text = text.format(dir=self.dir, api_port=self.api_port, first_port=self.first_port,
                           last_port=self.first_port + 31, chat_command=self.command("chat-model"),
                           rl_command=self.command("rl-model"), job_extra=section,
                           api_extra=self.snapshots["tokens"], **self.options)
        with open(self.config, "w") as file:
            file.write(text + extra)

    # ------------------------------------------------------------ processes

    def start_puller(self):
        log = open(os.path.join(self.dir, "ebb-pull.log"), "ab")
        self.puller = subprocess.Popen(
            [f"{BIN}/ebb-pull", "serve", "--listen", f"127.0.0.1:{self.pull_port}", "--store", self.store,
             "--directory", os.path.join(self.dir, "pulled")], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()

    def start(self, replicas=3):
        """Everything, until the job's replicas answer. They serve nothing yet."""
        self.start_puller()
        self.start_daemon()
        self.wait_ready("rl@local", replicas)

    def trainer(self, *options):
        """ebb-trainer over this daemon; its report is in `trainer_report`."""
        log = open(os.path.join(self.dir, "ebb-trainer.log"), "ab")
        process = subprocess.Popen(
            [f"{BIN}/ebb-trainer", "--ebb", self.url, "--job", "rl", "--model", "rl-model", "--json",
             os.path.join(self.dir, "trainer.json"), *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        return process

    def trainer_report(self):
        try:
            with open(os.path.join(self.dir, "trainer.json")) as file:
                return json.load(file)
        except OSError:
            return {"steps": []}

    def stop_everything(self):
        super().stop_everything()
        if self.puller and self.puller.poll() is None:
            self.puller.kill()
            self.puller.wait(10)

    def log(self):
        text = super().log()
        for name in ("ebb-pull.log", "ebb-trainer.log"):
            try:
                with open(os.path.join(self.dir, name), errors="replace") as file:
                    text += f"\n-- {name}\n" + file.read()[-2000:]
            except OSError:
                pass
        return text

    # ------------------------------------------------------------ API

    def call(self, method, path, body=None, timeout=60):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else json.dumps(body).encode())
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read().decode()

    def refusal(self, method, path, body):
        """(status, detail) of a request that must be refused."""
        try:
            answer = self.call(method, path, body)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()).get("detail", "")
        raise AssertionError(f"{method} {path} was accepted: {answer}")

    def publish(self, body):
        return json.loads(self.call("POST", "/v1/jobs/rl/snapshots", body))

    def ended(self, identity, timeout=60):
        """The snapshot once it has ended."""
        def look():
            state = self.get(f"/v1/jobs/rl/snapshots/{identity}?wait=serving&timeout=1s")
            return state if state["ended"] else None
        return wait_for(look, timeout, f"{identity} ends\n" + self.log())

    # ------------------------------------------------------------ engines

    def ask_engine(self, address, path, body=None):
        request = urllib.request.Request(address + path, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def serving(self):
        return [r for r in self.replicas("rl@local") if r["serves"]]

    def weights_served(self):
        """{replica: (identity, digest)} as a rollout on each serving replica has it."""
        found = {}
        for replica in self.serving():
            said = self.ask_engine(replica["address"], "/v1/completions",
                                   {"model": "rl-model", "prompt": "what are you", "max_tokens": 1})
            found[replica["id"]] = (said["system_fingerprint"], said["weights_digest"])
        return found
