"""A Ray of three nodes on this machine, small and quick to notice its dead."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.reliability.stable import ROOT

# Before Ray is imported, here or in what whole runs are forked from: its workers are to run in this environment, not in
# one made by `uv run`.
os.environ |= {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}

STORE = 100 * 2**20
RAYLETS: set[int] = set()  # pids, of killed ones too
QUICK = {"health_check_period_ms": 500, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 3}


class Nodes:
    """The cluster; every node has one CPU, and so room for one worker that takes a whole one."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE, "_system_config": QUICK}
        self.cluster = Cluster(initialize_head=True, connect=False, head_node_args=head)
        self.others = [self._add(), self._add()]
        self.address = self.cluster.address

        RAYLETS.add(self.cluster.head_node.all_processes["raylet"][0].process.pid)

    def _add(self):
        node = self.cluster.add_node(num_cpus=1, object_store_memory=STORE)
        RAYLETS.add(node.all_processes["raylet"][0].process.pid)
        return node

    def kill_a_node(self) -> int:
        """`kill -9` of the raylet of a node that has a worker and not the driver; returns the raylet's pid."""
        import psutil

        hubs = {p.ppid() for p in ray_processes("Hub")}
        busy = {p.ppid() for p in ray_processes("MapWorker")}
        for node in self.others:
            pid = node.all_processes["raylet"][0].process.pid
            if pid in busy - hubs:
                psutil.Process(pid).kill()
                return pid
        raise AssertionError(f"no other node has a worker: hubs {hubs}, workers {busy}")

    def heal(self) -> None:
        """Put new nodes in the place of killed ones."""
        for node in [n for n in self.others if not n.any_processes_alive() or not _alive(n)]:
            node.kill_all_processes(check_alive=False, allow_graceful=False)
            self.others.remove(node)
            self.cluster.worker_nodes.discard(node)
            self.others.append(self._add())


def _alive(node) -> bool:
    raylets = node.all_processes.get("raylet")
    return bool(raylets) and raylets[0].process.poll() is None


def ray_processes(name: str) -> list:
    """Living processes of this cluster's tasks and actors called `name`, oldest first."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline", "create_time", "status", "ppid"]):
        line, living = (process.info["cmdline"] or [""])[0], process.info["status"] != psutil.STATUS_ZOMBIE
        if line.startswith("ray::") and name in line and living and process.info["ppid"] in RAYLETS:
            found.append(process)
    return sorted(found, key=lambda p: p.info["create_time"])


def until(condition, seconds: float = 60.0):
    """Wait for `condition()` to be true; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting; of Ray: {[p.cmdline() for p in ray_processes('')]}")
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    """Three nodes."""
    pytest.importorskip("ray")
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    nodes = Nodes()
    try:
        yield nodes
    finally:
        import psutil
        import ray

        ray.shutdown()
        for node in reversed(nodes.cluster.list_all_nodes()):  # the head last: the others would miss it
            node.kill_all_processes(check_alive=False, allow_graceful=True)
        until(lambda: not any(map(psutil.pid_exists, RAYLETS)))


@pytest.fixture
def connected(nodes: Nodes) -> Iterator[Nodes]:
    """The same, with this process as a driver."""
    import ray

    ray.init(nodes.address, logging_level="error", log_to_driver=False)
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.heal()
