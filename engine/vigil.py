"""Notices that an engine in its own process was killed.

vLLM's client for one (`vllm/v1/engine/core_client.py`, `SyncMPClient`) learns of it in a thread that sets a flag and
closes the sockets, and goes on waiting for the next output for ever: nobody tells the queue it waits on. An engine that
fails by itself sends a last word; one killed from outside (kill -9, the kernel out of memory) cannot.
"""

from __future__ import annotations

import threading
from typing import Any


class Vigil:
    """Wakes whoever waits on `core`'s outputs once its process is gone; does nothing for an engine in this process.

    Args:
        core: `LLM.llm_engine.engine_core`.
    """

    def __init__(self, core: Any, every_s: float = 0.5):
        self._over = threading.Event()
        queue, resources = getattr(core, "outputs_queue", None), getattr(core, "resources", None)
        if queue is None or not hasattr(resources, "engine_dead"):
            return
        watch = (queue, resources, self._over, every_s)  # no reference to the engine itself: it could not be closed
        threading.Thread(target=_watch, args=watch, name="engine vigil", daemon=True).start()

    def end(self) -> None:
        """The engine is about to be closed in order."""
        self._over.set()


def _watch(queue: Any, resources: Any, over: threading.Event, every_s: float) -> None:
    while not over.wait(every_s):
        if resources.engine_dead:
            queue.put_nowait(RuntimeError("the engine's process was killed"))  # vLLM makes it an EngineDeadError
            return
