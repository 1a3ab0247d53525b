#!/usr/bin/python3 -B
"""Has Debian's prometheus scrape a node with jobs every second, and looks whether anything is missing.

usage: tests/metrics/scrape.py BINARY SECONDS

Starts BINARY and /usr/bin/prometheus on free ports, both with folders that are removed at the end. Exits with 0 when each
second has its sample, no scrape failed, and a rate and a quantile can be queried; prints both.
"""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from node import Node, end, run_jobs

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: egret
    static_configs: [{{targets: ["{target}"]}}]
"""
# A scrape may be late by this much before its second counts as missing.
LATE_MAX = 0.5


class Prometheus:
    def __init__(self, folder, target):
        config = pathlib.Path(folder, "prometheus.yml")
        config.write_text(CONFIG.format(target=target))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
        log = open(pathlib.Path(folder, "log"), "w")
        self.process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)

    def query(self, query):
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return json.load(response)["data"]["result"]

    def own(self, name):
        """A metric of its own, summed."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=20) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def ask_now_and_then(node, stop):
    """Requests for the quantile."""
    while not stop.wait(0.02):
        node.get("/running-jobs")


def one(result):
    if not result:
        raise SystemExit("a query has no result")
    return float(result[0]["value"][1])


def look(prometheus, seconds):
    window = f"[{seconds}s]"
    up = prometheus.query(f"up{window}")[0]["values"]
    times = [at for at, _ in up]
    gap = max(late - early for early, late in zip(times, times[1:]))
    failed = sum(value != "1" for _, value in up)
    print(f"  {len(up)} scrapes, {failed} failed, at most {gap:.3f} s between two")
    samples = prometheus.query("scrape_samples_scraped")
    duration = prometheus.query(f"quantile_over_time(0.99, scrape_duration_seconds{window})")
    print(f"  {one(samples):.0f} samples a scrape, 99 % of them within {1e3 * one(duration):.2f} ms")
    bad = {name: prometheus.own(f"prometheus_target_scrapes_{name}_total") for name in (
        "sample_duplicate_timestamp", "sample_out_of_order", "sample_out_of_bounds", "exceeded_sample_limit")}
    rate = prometheus.query("sum(rate(egret_job_sink_rows_total[30s]))")
    quantile = 'histogram_quantile(0.99, sum by (le) (rate(egret_http_request_seconds_bucket{path="running-jobs"}[30s])))'
    print(f"  sum(rate(egret_job_sink_rows_total[30s])) = {one(rate):.1f}")
    print(f"  {quantile} = {one(prometheus.query(quantile)):.6f}")
    requests = one(prometheus.query('sum(rate(egret_http_request_seconds_count{path="running-jobs"}[30s]))'))
    print(f"  requests a second: {requests:.1f}")
    if failed or gap > 1 + LATE_MAX or any(bad.values()) or len(up) < seconds - 1 or requests == 0:
        raise SystemExit(f"something is missing or wrong: {bad}")


def out_of_time(*_):
    raise SystemExit("not done in time")


def main():
    if len(sys.argv) != 3 or not sys.argv[2].isdigit() or int(sys.argv[2]) < 35:
        raise SystemExit(__doc__ + "\nSECONDS are at least 35.")
    seconds = int(sys.argv[2])
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds + 120)
    with tempfile.TemporaryDirectory() as folder, Node(sys.argv[1], f"{folder}/state") as node:
        run_jobs(node)
        stop = threading.Event()
        asking = threading.Thread(target=ask_now_and_then, args=(node, stop))
        asking.start()
        try:
            with Prometheus(folder, node.url.removeprefix("http://")) as prometheus:
                # It begins somewhere in its first seconds.
                time.sleep(seconds + 5)
                look(prometheus, seconds)
        finally:
            stop.set()
            asking.join()


main()
