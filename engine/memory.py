"""How much memory an engine took, and whether it is back.

Device memory where there is a CUDA device, read through NVML so that this process needs no CUDA context of its own;
otherwise the anonymous and shared resident memory of this process and all its descendants (pages of libraries are the
kernel's to keep or drop, and say nothing of an engine).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import time

CONTEXT_MIB = 2048.0  # more than a CUDA context and its kernels take: 1,010 to 1,088 MiB on an H100 after T3


def has_cuda() -> bool:
    """Whether a CUDA device is visible, asked without making a CUDA context in this process."""
    return _nvml_used() is not None


def used_mib() -> float:
    """Memory in use now, in MiB: all of the visible devices', or what the process tree holds."""
    device = _nvml_used()
    return device if device is not None else _tree_rss()


def has_context() -> bool:
    """Whether this process has a CUDA context by now; asking makes none."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def context_mib(left: float) -> float:
    """How much of the `left` MiB that did not come back is this process's CUDA context, and no engine's.

    An engine's memory is what PyTorch's allocator holds; what the process has beyond that is CUDA's own until it ends.
    0 where this process has no context, as when engines run in processes of their own.
    """
    if not has_context():
        return 0.0
    import torch

    devices = range(torch.cuda.device_count())
    held = sum(torch.cuda.memory_reserved(i) for i in devices) / 2**20
    return min(max(left - held, 0.0), CONTEXT_MIB * len(devices))


def settle(baseline: float, footprint: float, timeout: float = 30.0) -> float:
    """Collect garbage and give freed pages back until memory has stopped falling.

    Args:
        baseline: `used_mib()` before the engine was opened.
        footprint: MiB the engine had taken.
        timeout: longest wait, in seconds.

    Returns:
        `used_mib()` at the end.
    """
    wait = 0.2 if has_cuda() else 0.02  # a process that ends gives a device's memory back in its own time
    deadline = time.monotonic() + timeout
    target = baseline + 0.02 * max(footprint, 0.0)
    last = float("inf")
    while True:
        gc.collect()
        _malloc_trim()
        now = used_mib()
        # Settled: back where it was, or no longer falling between two looks.
        if now <= target or last - now < 1.0 or time.monotonic() > deadline:
            return now
        if now - baseline > 0.25 * footprint:
            gc.unfreeze()  # what the engine hangs on may have been frozen with everything else
        last = now
        time.sleep(wait)


def peak_mib() -> float:
    """Peak resident set of this process so far, in MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _malloc_trim() -> None:
    """glibc keeps freed arenas; without this the resident set stays at its peak. Other C libraries lack it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _tree_rss() -> float:
    total, todo = 0.0, [os.getpid()]
    while todo:
        pid = todo.pop()
        try:
            with open(f"/proc/{pid}/status") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith(("RssAnon:", "RssShmem:"))) / 1024
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    todo += [int(child) for child in file.read().split()]
        except (OSError, IndexError):
            continue  # ended while we looked
    return total


def _nvml_used() -> float | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        used = 0
        for handle in _visible_devices(pynvml):
            used += pynvml.nvmlDeviceGetMemoryInfo(handle).used
        return used / 2**20
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _visible_devices(pynvml) -> list:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    handles = []
    for name in filter(None, (part.strip() for part in visible.split(","))):
        if name.lstrip("-").isdigit():
            if int(name) < 0:
                break  # CUDA ignores all devices from the first invalid one on
            handles.append(pynvml.nvmlDeviceGetHandleByIndex(int(name)))
        else:
            handles.append(pynvml.nvmlDeviceGetHandleByUUID(name.encode()))
    return handles


def holders() -> str:
    """Who may hold the memory: large tensors still referenced in this process."""
    import torch

    held: list[tuple[int, str]] = []
    for thing in gc.get_objects():
        with contextlib.suppress(Exception):
            if isinstance(thing, torch.Tensor) and thing.numel() * thing.element_size() > 2**24:
                held.append((thing.numel() * thing.element_size() // 2**20, f"{tuple(thing.shape)} {thing.dtype}"))
    if not held:
        return "no large tensor is referenced in this process: another process or the allocator holds it"
    held.sort(reverse=True)
    return "held by tensors " + ", ".join(f"{shape} {mib} MiB" for mib, shape in held[:3])
