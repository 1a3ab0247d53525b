"""A running node with jobs, for the programs beside this one."""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

# Every letter that has to be escaped, and some that must not be.
NAME = 'odd "name" \\ with\nlines, {braces} and \u6d4b'


def end(process):
    """Ends a program, by force if it takes longer than 20 seconds."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Node:
    """A running node on a port of its own."""

    def __init__(self, binary, folder):
        command = [binary, "serve", "--port", "0", "--second-port", "off", "--state-folder", folder]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.url = None

    def __enter__(self):
        try:
            self.listen()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        end(self.process)

    def listen(self):
        for line in self.process.stderr:
            found = re.search(r"listening on (http://\S+)", line)
            if found:
                self.url = found[1].rstrip("/")
                # Nobody wants the rest, but a full pipe would stop the node.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        raise SystemExit("the node ended without listening")

    def get(self, path, accept="*/*", data=None):
        request = urllib.request.Request(self.url + path, data=data, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read().decode("utf-8"), response.headers["Content-Type"]

    def submit(self, job, name):
        job["env"]["job.name"] = name
        text, _ = self.get("/submit-job", data=json.dumps(job).encode())
        return json.loads(text)["jobId"]

    def wait_for(self, what, is_so):
        while not is_so():
            if self.process.poll() is not None:
                raise SystemExit("the node has ended")
            time.sleep(0.05)
        print(f"  {what}")


def job(rows, mode, parallelism=1):
    fields = {"id": "bigint", "name": "string"}
    fake = {"plugin_name": "FakeSource", "plugin_output": "fake", "row.num": rows, "schema": {"fields": fields}}
    query = {"plugin_name": "Sql", "plugin_input": "fake", "plugin_output": "some", "query": "select id from fake"}
    return {
        "env": {"job.mode": mode, "parallelism": parallelism},
        "source": [fake],
        "transform": [query],
        "sink": [{"plugin_name": "Blackhole", "plugin_input": of} for of in ("fake", "some")],
    }


def run_jobs(node):
    """Jobs of several kinds, some of which go on running."""
    ended = node.submit(job(1000, "BATCH", 2), "ended")
    node.submit(job(1000, "STREAMING"), NAME)
    endless = job(1 << 50, "BATCH", 2)
    endless["env"]["read_limit.rows_per_second"] = 1000
    node.submit(endless, "goes on")
    state = lambda id: json.loads(node.get(f"/job-info/{id}")[0])["jobStatus"]
    node.wait_for("a job has ended", lambda: state(ended) == "FINISHED")
    tasks = lambda: node.get("/metrics?name=egret_vertex_sent_rows_total")[0]
    node.wait_for("jobs run", lambda: sum("} 0" not in line for line in tasks().splitlines() if line[0] != "#") > 4)
    # A share of time: there is none before the kernel's clock has gone on.
    loads = lambda: node.get("/metrics?name=egret_node_load_ratio&name=egret_process_load_ratio")[0]
    node.wait_for("loads are known", lambda: loads().count("load_ratio{") == 2)
    for path in ("/running-jobs", "/overview", "/system-monitoring-information", "/nothing-here"):
        try:
            node.get(path)
        except urllib.error.HTTPError as error:
            error.close()
