"""Sends the load of a file of stages, as `foresail trace stages` writes it.

    foresail trace stages web.csv --out stages.json
    FORESAIL_STAGES=stages.json locust -f examples/locustfile.py --headless --host http://127.0.0.1:8080

A user waits an exponential time with a mean of FORESAIL_WAIT seconds (1) between an answer and its next request, which goes
to FORESAIL_PATH (/). Give `trace stages` the same --wait, and the time until an answer as --response.
"""

import json
import os
import random

from locust import HttpUser, LoadTestShape, task

WAIT = float(os.environ.get("FORESAIL_WAIT", "1"))
PATH = os.environ.get("FORESAIL_PATH", "/")

with open(os.environ.get("FORESAIL_STAGES", "stages.json"), encoding="utf-8") as file:
    STAGES = json.load(file)


class User(HttpUser):
    """Calls one path."""

    def wait_time(self):
        return random.expovariate(1 / WAIT)

    @task
    def call(self):
        self.client.get(PATH)


class Stages(LoadTestShape):
    """So many users until each stage's end; the load ends with the last stage."""

    def tick(self):
        now = self.get_run_time()
        for stage in STAGES:
            if now < stage["duration"]:
                return stage["users"], stage["spawn_rate"]
        return None
