#!/usr/bin/python3 -B
"""Holds the metrics of a running node, with jobs, against tools that are not ours.

usage: tests/metrics/check.py BINARY

Starts BINARY on a free port, submits jobs, and scrapes it in both forms. `promtool check metrics` (Debian's package
prometheus) judges the names and the text; its complaints about names of the original must be exactly those that
original-names.txt expects. The parsers of Python's prometheus_client (Debian's package python3-prometheus-client) read
both forms, which must hold the same series. Exits with 0 when all holds. Takes at most TIME_MAX seconds.
"""

import pathlib
import signal
import subprocess
import sys
import tempfile

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text

from node import NAME, Node, run_jobs

TIME_MAX = 120
HERE = pathlib.Path(__file__).parent
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def check_names(text):
    """What promtool finds wrong must be what is expected of names of the original."""
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    if lint.returncode not in (0, 3):
        raise SystemExit(f"promtool cannot read the metrics: {lint.stderr}{lint.stdout}")
    lines = [line for line in (lint.stdout + lint.stderr).splitlines() if line.strip()]
    found = {line.split()[0]: line for line in lines}
    names = (HERE / "original-names.txt").read_text().splitlines()
    expected = {name for name in names if name and not name.startswith("#")}
    wrong = [line for name, line in found.items() if name not in expected]
    wrong += [f"{name} is listed in original-names.txt, and promtool finds nothing wrong with it" for name in expected - set(found)]
    if wrong:
        raise SystemExit("promtool check metrics:\n" + "\n".join(wrong))
    print(f"  promtool finds nothing but {len(found)} names of the original")


def series(families):
    """Names and labels of all samples, and the number of families."""
    found, families = set(), list(families)
    for family in families:
        for sample in family.samples:
            # Text 0.0.4 has no infos.
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in found:
                raise SystemExit(f"{key} comes twice")
            found.add(key)
    return found, families


def is_of_requests(key):
    """A route may be used between two scrapes."""
    return key[0].startswith("egret_http_")


def scrape(node):
    """Both forms, of a time in which no series came or went: jobs run, and the first samples may come late."""
    while True:
        text, content_type = node.get("/metrics")
        if content_type != TEXT:
            raise SystemExit(f"the type of the text is {content_type}")
        open_text, content_type = node.get("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        if content_type != OPEN_METRICS:
            raise SystemExit(f"the type of OpenMetrics is {content_type}")
        again, _ = node.get("/metrics")
        before, after = (series(prometheus_text(form))[0] for form in (text, again))
        if all(is_of_requests(key) for key in before ^ after):
            return text, open_text


def check_forms(text, open_text):
    in_text, families = series(prometheus_text(text))
    in_open, open_families = series(open_metrics(open_text))
    for family in open_families:
        if not family.documentation or family.type == "unknown":
            raise SystemExit(f"{family.name} has no help or no type")
    differ = {key for key in in_text ^ in_open if not is_of_requests(key)}
    if differ:
        raise SystemExit(f"one form has what the other has not: {sorted(differ)[:9]}")
    if not any(dict(labels).get("job_name") == NAME for _, labels in in_open):
        raise SystemExit("the odd name of a job does not come out as it went in")
    print(f"  both forms hold the same {len(in_open)} series; {len(families)} families have some")


def out_of_time(*_):
    raise SystemExit(f"not done after {TIME_MAX} s")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TIME_MAX)
    with tempfile.TemporaryDirectory() as folder, Node(sys.argv[1], folder) as node:
        run_jobs(node)
        text, open_text = scrape(node)
        check_names(text)
        check_forms(text, open_text)


main()
