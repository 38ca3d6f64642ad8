"""The part of Ray that a session uses: tasks run in a thread of this process, on the first node that may run them."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

NODE_ID = "ray.io/node-id"


class RayError(Exception):
    """The error of a task whose process was lost."""


class LocalRay:
    """Nodes by id, each with the environment variables of its processes. It stands for the module `ray`."""

    exceptions = SimpleNamespace(RayError=RayError, GetTimeoutError=TimeoutError)

    def __init__(self, nodes: Mapping[str, Mapping[str, str]]) -> None:
        self._nodes, self._here, self._thread = dict(nodes), "", ThreadPoolExecutor(1)
        self.ran_on, self._dead, self._cancelled = list[str](), set[str](), set[Any]()

    def kill(self, node: str) -> None:
        """End a node; `nodes` lists it until `forget` is called, as Ray does for some seconds."""
        self._dead.add(node)

    def forget(self, node: str) -> None:
        del self._nodes[node]

    def nodes(self) -> list[dict[str, Any]]:
        about = {"Alive": True, "Resources": {"CPU": 1.0}, "Labels": {}}
        return [{"NodeID": id, "NodeManagerHostname": f"host-{id}", **about} for id in self._nodes]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: self._here)

    def remote(self, *function: Any, **options: Any) -> Any:
        """Make a function a task; with options alone, return a decorator of tasks and actors."""
        if not function:
            return self.remote
        if isinstance(function[0], type):
            return SimpleNamespace(remote=lambda: _Actor(function[0]()))
        return _Task(self, function[0])

    def submit(self, *task: Any) -> "Future[Any]":
        return self._thread.submit(self._run, *task)

    def _run(self, function: Callable[..., Any], selector: str, arguments: tuple[Any, ...]) -> Any:
        without = selector.removeprefix("!in(").removesuffix(")").split(",")
        while not (able := self._nodes.keys() - without - self._dead):
            if self._cancelled:
                raise RayError("cancelled")
            time.sleep(0.05)
        self._here = next(id for id in self._nodes if id in able)
        self.ran_on.append(self._here)
        before = dict(os.environ)
        os.environ.update(self._nodes[self._here])
        try:
            return function(*arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)

    def wait(self, refs: list[Any], timeout: float | None = None) -> tuple[list[Any], list[Any]]:
        """Split references into those of tasks that have ended, and the others."""
        running = wait([ref for ref in refs if isinstance(ref, Future)], timeout).not_done
        return [ref for ref in refs if ref not in running], [*running]

    def get(self, ref: Any, timeout: float | None = None) -> Any:
        return ref.result(timeout) if isinstance(ref, Future) else ref

    def cancel(self, ref: Any) -> None:
        self._cancelled.add(ref)
        wait([ref])
        self._cancelled.discard(ref)

    def put(self, value: Any) -> Any:
        return value


class _Task:
    def __init__(self, ray: LocalRay, function: Callable[..., Any], selector: str = "") -> None:
        self._ray, self._function, self._selector = ray, function, selector

    def options(self, label_selector: Mapping[str, str], **resources: float) -> "_Task":
        return _Task(self._ray, self._function, label_selector.get(NODE_ID, ""))

    def remote(self, *arguments: Any) -> Any:
        return self._ray.submit(self._function, self._selector, arguments)


class _Actor:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._actor, name))
