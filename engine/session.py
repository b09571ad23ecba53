"""The only way a vLLM engine is used: open, stream, close.

    with llm_session(spec) as session:
        for output in session.stream(requests):
            ...

* Requests are drawn from the iterable only while fewer than `window` are unfinished: the engine's waiting queue stays
  full, our memory stays constant.
* A request that cannot run (over-long prompt, bad schema) becomes an error output; its neighbours are untouched.
* Leaving the block destroys the engine and the distributed state, waits until memory is back and measures it.

Follows vLLM's own offline loop (`vllm/entrypoints/common/offline.py`, `_run_engine`), which returns nothing before the
last row is done and aborts all rows when one is refused.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from engine import degrade, memory
from engine.backend import BackendStats
from engine.errors import EngineDied, EngineError, RowError
from engine.failures import causes, first_line, is_dead_engine, load_error, too_small
from engine.llm import LlmSpec
from engine.records import Output, Request
from engine.vigil import Vigil
from engine.vllm_code import code_left_frozen, load_vllm, readable_modules

log = logging.getLogger(__name__)

END = object()


def llm_session(spec: LlmSpec) -> LlmSession:
    """A session for `spec`; enter it to load the engine."""
    return spec.open()


class LlmSession:
    """An engine from opening to closing; see the module's docstring. A subclass may change what a request becomes,
    and load more (`bring_in`, `opened`).

    Attributes:
        open_ended: `steps` takes requests that are not all there yet, see `engine.backend`.

    Raises (on entering):
        UserError: vLLM is missing or refuses model or arguments.
        EngineError: the engine did not start.
    """

    open_ended = True

    def __init__(self, spec: LlmSpec):
        self.spec = spec
        self.stats = BackendStats()
        self.llm: Any = None
        self._baseline = 0.0
        self._had_context = False
        self._env: dict[str, str | None] = {}
        self._ids = 0
        self._vigil: Vigil | None = None

    def __enter__(self) -> Self:
        self._env = {name: os.environ.get(name) for name in self.spec.env}
        os.environ.update({name: str(value) for name, value in self.spec.env.items()})
        began = time.monotonic()
        self.bring_in()
        llm_class = load_vllm()
        self._had_context = memory.has_context()
        self._baseline = memory.settle(memory.used_mib(), 0.0)
        self._open(llm_class)
        self._vigil = Vigil(self.llm.llm_engine.engine_core)
        self.max_model_len = int(self.llm.llm_engine.model_config.max_model_len)
        self.window = 2 * int(self.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        self.opened()
        self.stats.load_s += time.monotonic() - began
        return self

    def bring_in(self) -> None:
        """Import what a subclass needs, before memory is first measured: what modules take does not come back."""

    def opened(self) -> None:
        """What a subclass has still to load once the engine is there."""

    def _open(self, llm_class: Any) -> None:
        """Load the engine; where it does not fit, once more as small as it says would."""
        group, log_size = self.spec.group(), degrade.log_size()
        arguments = {**self.engine_args(), **degrade.learned(group)}
        try:
            with readable_modules(), code_left_frozen():
                self.llm = llm_class(model=self.spec.model, revision=self.spec.revision, **arguments)
        except Exception as e:
            environment, self._env = self._env, {}  # the second try needs it, too
            self._destroy()
            self._env = environment
            said = " ".join(map(str, causes(e))) + degrade.said_since(log_size)
            if (change := degrade.learn(group, arguments, said)) is None:
                self._destroy()
                raise load_error(self.spec, e, arguments, said) from e
            self._note(change, first_line(e))
        if self.llm is None:  # outside the handler, whose traceback would keep the failed engine's memory
            self._open(llm_class)

    def _note(self, change: Mapping[str, Any], why: str) -> None:
        """Have the user told that the engine is smaller than configured."""
        text = ", ".join(f"{name}={value}" for name, value in change.items())
        self.stats.extra.setdefault("warnings", []).append(
            f"{self.spec.model} ran out of memory ({why}): going on with {text}"
        )

    def engine_args(self) -> dict[str, Any]:
        """Arguments of `vllm.LLM` beside model and revision."""
        return dict(self.spec.engine)

    def stream(self, requests: Iterable[Request]) -> Iterator[Output]:
        """Run `requests` and yield each output as it finishes, in any order."""
        for outputs in self.steps(requests):
            yield from outputs

    def steps(self, requests: Iterable[Request]) -> Iterator[list[Output]]:
        """Run `requests` and yield what each engine step finished, as a list; an empty one lets the caller stop.

        Raises:
            EngineDied: the engine is gone; names the requests in flight.
        """
        engine = self.llm.llm_engine
        flight: dict[str, Request] = {}
        source = iter(requests)
        exhausted = False
        try:
            while True:
                refused: list[Output] = []
                while not exhausted and len(flight) < self.window:
                    request = next(source, END)
                    if request is END:
                        exhausted = True
                    elif request is None:
                        break
                    elif (output := self._submit(request, flight)) is not None:
                        refused.append(output)
                        if len(refused) >= self.window:  # bad rows alone must not pile up
                            break
                if refused:
                    yield refused
                if not flight:
                    if exhausted:
                        return
                    continue
                yield [self._answer(flight.pop(o.request_id), o) for o in self._step(flight) if o.finished]
        except EngineDied:
            raise
        except Exception as e:
            if is_dead_engine(e):
                raise EngineDied(
                    f"engine of {self.spec.model} died: {first_line(e)}", [r.key for r in flight.values()]
                ) from e
            raise
        finally:
            if flight and self.llm is not None:
                # The caller stopped early: take back what was not answered, so that closing need not wait for it.
                with contextlib.suppress(Exception):
                    engine.abort_request(list(flight))

    def _step(self, flight: Mapping[str, Request]) -> list[Any]:
        """One engine step; whatever goes wrong in it leaves the engine in no known state.

        Raises:
            EngineDied: a fresh engine is needed, the first time it was a matter of memory a smaller one.
            EngineError: out of memory, although made smaller before.
        """
        try:
            return self.llm.llm_engine.step()
        except Exception as e:
            said = " ".join(map(str, causes(e)))
            arguments = {**self.engine_args(), **degrade.learned(self.spec.group())}
            if degrade.is_out_of_memory(said):
                if (change := degrade.learn(self.spec.group(), arguments, said)) is None:
                    raise too_small(self.spec, arguments, first_line(e)) from e
                self._note(change, first_line(e))
            keys = [r.key for r in flight.values()]
            raise EngineDied(f"engine of {self.spec.model} died: {first_line(e)}", keys) from e

    def _submit(self, request: Request, flight: dict[str, Request]) -> Output | None:
        try:
            prompt, params = self.prepare(request)
            request_id = self._add(prompt, params)
        except RowError as e:
            return Output(request.key, error=e.to_dict())
        except Exception as e:  # whatever vLLM finds wrong with this one request (its classes differ by version)
            if is_dead_engine(e):
                flight[f"unsent {request.key}"] = request
                raise
            return Output(
                request.key, error={"kind": "refused", "message": f"vLLM refused the request: {first_line(e)}"}
            )
        flight[request_id] = request
        return None

    def _add(self, prompt: Any, params: Any) -> str:
        """Queue a prompt; returns the id its output will have."""
        if hasattr(self.llm, "enqueue"):
            # The id of the outputs is the part before the dash (vLLM makes ids unique by a suffix).
            return self.llm.enqueue([prompt], [params], use_tqdm=False)[0].partition("-")[0]
        self._ids += 1  # vLLM before `LLM.enqueue`
        self.llm.llm_engine.add_request(str(self._ids), prompt, params)
        return str(self._ids)

    def prepare(self, request: Request) -> tuple[Any, Any]:
        """vLLM's prompt and `SamplingParams` of a chat request.

        Raises:
            RowError: the prompt and the answer's `max_tokens` do not fit the context.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        payload = request.payload
        ids = self._tokenize(payload["prompt"])
        sampling = dict(payload["sampling"])
        sampling.setdefault("max_tokens", 256)
        if len(ids) + sampling["max_tokens"] > self.max_model_len:
            raise RowError(
                "prompt_too_long",
                f"prompt has {len(ids)} tokens, with max_tokens {sampling['max_tokens']} more than the context of "
                f"{self.max_model_len}",
                prompt_tokens=len(ids),
            )
        if (schema := payload.get("schema")) is not None:
            sampling["structured_outputs"] = StructuredOutputsParams(json=schema, disable_any_whitespace=True)
        return {"prompt_token_ids": ids}, SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **sampling)

    def _tokenize(self, messages: list[dict[str, str]]) -> list[int]:
        tokenizer = self.llm.get_tokenizer()
        text = tokenizer.apply_chat_template(
            messages,
            chat_template=getattr(self.llm, "chat_template", None),
            add_generation_prompt=True,
            tokenize=False,
        )
        # Chat templates write the special tokens themselves.
        return tokenizer.encode(text, add_special_tokens=False)

    def _answer(self, request: Request, output: Any) -> Output:
        completion = output.outputs[0]
        usage = {
            "input_tokens": len(output.prompt_token_ids or ()),
            "output_tokens": len(completion.token_ids),
            "cached_tokens": output.num_cached_tokens or 0,
        }
        return Output(request.key, self.value(completion), usage)

    def value(self, completion: Any) -> Any:
        """What an output's `value` keeps of vLLM's `CompletionOutput`."""
        return {"text": completion.text, "finish_reason": completion.finish_reason}

    def __exit__(self, *exc: object) -> None:
        began = time.monotonic()
        before = memory.used_mib()
        self._destroy()
        after = memory.settle(self._baseline, before - self._baseline)
        self.stats.close_s = time.monotonic() - began
        self.stats.footprint_mib = before - self._baseline
        self.stats.returned_mib = before - after
        left = after - self._baseline
        # Without a device it is this process's memory, which grows by what the run itself keeps (records, sound); an
        # engine that is still there shows all the same, by its cache.
        allowed = 256.0 if memory.has_cuda() else max(0.5 * self.stats.footprint_mib, 64.0)
        if not self._had_context:
            # The first engine in this process leaves a CUDA context: about 1 GiB, CUDA's until the process ends.
            left -= memory.context_mib(left)
        log.info(
            "closed %s in %.1f s: %.0f of %.0f MiB back",
            self.spec.model, self.stats.close_s, self.stats.returned_mib, self.stats.footprint_mib,
        )  # fmt: skip
        if left > allowed and exc[0] is None:
            raise EngineError(
                f"{left:.0f} MiB of {self.spec.model} did not come back after closing it ({memory.holders()}); "
                "close other users of the device or lower gpu_memory_utilization, then resume"
            )

    def _destroy(self) -> None:
        """Shut the engine down and drop every reference to it: only then is its memory free."""
        if self._vigil is not None:
            self._vigil.end()
        with code_left_frozen():
            llm, self.llm = self.llm, None
            if llm is not None:
                with contextlib.suppress(Exception):  # a dead engine cannot be asked to stop
                    llm.llm_engine.engine_core.shutdown()
            del llm
            with contextlib.suppress(ImportError):
                from vllm.distributed import cleanup_dist_env_and_memory

                cleanup_dist_env_and_memory()  # collects garbage, too
        for name, value in self._env.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


__all__ = ["LlmSession", "LlmSpec", "llm_session"]
