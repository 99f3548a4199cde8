"""A trainer's client of Fireworks' hot-load API, written from its public documentation and the behaviour of its public
SDK, and from nothing of Ebb: what it drives need not be Fireworks, and it cannot tell.

Its rules (https://docs.fireworks.ai, "RL rollout integration"; SDK values in CAPITALS):
  - one signal at a time: signal, poll until it has loaded or the budget is spent, then the next one
  - before the first signal the replica list must be non-empty, for an early signal crashes a serving container
  - of the list only the first replica is looked at; an empty list is waited for, and given up after MANAGER_WAIT_S
  - an error about another snapshot than the one waited for is stale, and is ignored
  - transient failures of a poll are polled away; of a signal they are retried with a growing pause
  - a base only advances once its load was confirmed; after a failure the next snapshot is full
"""
import http.client
import json
import time
import urllib.error
import urllib.request

SIGNAL_TIMEOUT_S = 60
SIGNAL_RETRY_BUDGET_S = 300
SIGNAL_RETRY_WAIT_MAX_S = 30
RETRIED = (408, 429, 500, 502, 503, 504)
STATUS_TIMEOUT_S = 30
MANAGER_WAIT_S = 300
LOAD_WAIT_S = 400
POLL_S = 5
COMPRESSION_FORMAT = "arc_v2"
CHECKSUM_FORMAT = "alder32"  # as it is spelt on the wire
NETWORK = (OSError, urllib.error.URLError, http.client.HTTPException)


class ApiError(Exception):
    """An answer that is no success, in the words of the server."""

    def __init__(self, status, message):
        super().__init__(f"HTTP {status}: {message}")
        self.status, self.message = status, message


class LoadFailed(Exception):
    pass


def message_of(text):
    """`error` if present, else the whole object; of an object its `message`; of no JSON the first 200 characters."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return text[:200]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(error, dict) and "message" in error:
        return str(error["message"])
    return error if isinstance(error, str) else json.dumps(error)


class HotLoadClient:
    def __init__(self, base_url, account, deployment, model, api_key="", poll_s=POLL_S, source_url=None):
        self.base_url = base_url.rstrip("/")
        self.account, self.deployment, self.poll_s = account, deployment, poll_s
        self.headers = {
            "Authorization": f"Bearer {api_key}",
            "X-Api-Key": api_key,
            "fireworks-model": f"accounts/{account}/models/{model}",
            "fireworks-deployment": f"accounts/{account}/deployments/{deployment}",
        }
        if source_url:
            self.headers["x-fireworks-hot-load-source-url"] = source_url
        self.signals = 0  # POSTs that went out, retries included

    def call(self, method, path, body=None, timeout=STATUS_TIMEOUT_S):
        """(status, text); raises what the network raises."""
        headers = dict(self.headers)
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def signal(self, identity, previous=None, reset_prompt_cache="all", extra_fields_ignore=None):
        """H1. `previous`: of a delta. `reset_prompt_cache`: a word, a bool, or None to leave the field out."""
        body = {"identity": identity}
        if previous is not None:
            body["incremental_snapshot_metadata"] = {
                "previous_snapshot_identity": previous,
                "compression_format": COMPRESSION_FORMAT,
                "checksum_format": CHECKSUM_FORMAT,
            }
        if reset_prompt_cache is not None:
            body["reset_prompt_cache"] = reset_prompt_cache
        if extra_fields_ignore is not None:
            body["validation"] = {"extra_fields_ignore": extra_fields_ignore}
        return self.signal_body(body)

    def signal_body(self, body):
        """The body as it is, with the SDK's retries. What a success says is not read."""
        deadline = time.monotonic() + SIGNAL_RETRY_BUDGET_S
        attempt = 0
        while True:
            self.signals += 1
            try:
                status, text = self.call("POST", "/hot_load/v1/models/hot_load", body, SIGNAL_TIMEOUT_S)
                if 200 <= status < 300:
                    return
                failure = ApiError(status, message_of(text))
                if status not in RETRIED:
                    raise failure
            except NETWORK as error:
                failure = error
            pause = min(2 ** attempt, SIGNAL_RETRY_WAIT_MAX_S)
            attempt += 1
            if time.monotonic() + pause > deadline:
                raise failure
            time.sleep(pause)

    def replicas(self):
        """H2, strictly: a list under `replicas`, or it is no answer."""
        status, text = self.call("GET", "/hot_load/v1/models/hot_load")
        if status != 200:
            raise ApiError(status, message_of(text))
        parsed = json.loads(text)
        if not isinstance(parsed, dict) or not isinstance(parsed.get("replicas"), list):
            raise ApiError(status, "no list of replicas: " + text[:200])
        return parsed["replicas"]

    def wait_for_manager(self):
        deadline = time.monotonic() + MANAGER_WAIT_S
        while time.monotonic() < deadline:
            try:
                if self.replicas():
                    return
            except (ApiError, ValueError, *NETWORK):
                pass
            time.sleep(self.poll_s)
        raise LoadFailed(f"no replicas for {MANAGER_WAIT_S} s")

    def wait_loaded(self, identity):
        """Until the first replica is ready with the snapshot. Raises LoadFailed for an error about it, or too late."""
        deadline = time.monotonic() + LOAD_WAIT_S
        empty_since = None
        while time.monotonic() < deadline:
            try:
                replicas = self.replicas()
            except (ApiError, ValueError, *NETWORK):
                replicas = None  # a restart in progress is normal
            if replicas:
                empty_since = None
                first = replicas[0]
                if first.get("readiness") is True and first.get("current_snapshot_identity") == identity:
                    return
                state = first.get("loading_state") or {}
                if state.get("stage") == "error" and state.get("target_snapshot_identity") == identity:
                    raise LoadFailed(f"{identity}: {first}")
            elif replicas is not None:
                empty_since = empty_since or time.monotonic()
                if time.monotonic() - empty_since > MANAGER_WAIT_S:
                    raise LoadFailed(f"no replicas for {MANAGER_WAIT_S} s")
            time.sleep(self.poll_s)
        raise LoadFailed(f"{identity}: not loaded within {LOAD_WAIT_S} s")

    def ledger_path(self):
        return f"/v1/accounts/{self.account}/deployments/{self.deployment}/ledger"

    def reset_ledger(self):
        status, text = self.call("DELETE", self.ledger_path())
        if status != 404 and not 200 <= status < 300:
            raise ApiError(status, message_of(text))

    def ledger(self):
        status, text = self.call("GET", self.ledger_path())
        if status != 200:
            raise ApiError(status, message_of(text))
        return json.loads(text)["rows"]


class WeightSyncer:
    """Which snapshots are full: the first, one in `full_every`, and the next one after a failure."""

    def __init__(self, client, full_every=25):
        self.client, self.full_every = client, full_every
        self.base = None      # the newest snapshot whose load was confirmed
        self.since_full = 0
        self.failed = False

    def next_is_full(self):
        return self.base is None or self.failed or self.since_full + 1 >= self.full_every

    def sync(self, identity, full, **options):
        """Signals a snapshot that is in the bucket already, and waits for it. `full` as `next_is_full` had it."""
        if self.base is None:
            self.client.wait_for_manager()
        try:
            self.client.signal(identity, None if full else self.base, **options)
            self.client.wait_loaded(identity)
        except (ApiError, LoadFailed):
            self.failed = True
            raise
        self.base, self.failed = identity, False
        self.since_full = 0 if full else self.since_full + 1
