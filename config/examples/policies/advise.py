#!/usr/bin/env python3
"""An adviser for `capacity: {policy: exec}`: twelve requests a replica, and one more from eight to ten in the morning.

One JSON object a line on standard input, one on standard output; docs/policies.md, exec. Standard error is ebbd's log.
"""
import json
import sys

PER_REPLICA = 12.0


def advise(question):
    signal = question["signals"].get("in_flight", {})
    if "value" not in signal:  # unknown is not zero: decline, and the fallback decides
        return {"error": "in_flight is unknown: " + signal.get("missing", "no source reports it")}
    need = signal["value"] / PER_REPLICA
    if question["at"][11:13] in ("08", "09"):  # UTC
        return {"need": need + 1, "note": "one more for the morning"}
    return {"need": need, "note": "%g requests, %g a replica" % (signal["value"], PER_REPLICA)}


for line in sys.stdin:
    question = json.loads(line)
    answer = {"version": 1, "seq": question["seq"], **advise(question)}
    print(json.dumps(answer), flush=True)
