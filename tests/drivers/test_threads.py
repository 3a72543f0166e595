from __future__ import annotations

import asyncio
import threading

import pytest

from factory.drivers.threads import give_up, in_thread, post

pytestmark = pytest.mark.unit


def test_value_and_error_come_back() -> None:
    async def body() -> None:
        assert await in_thread(lambda: threading.current_thread().daemon) is True
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)

    asyncio.run(body())


def test_a_cancelled_caller_goes_on_at_once_and_tells_the_thread() -> None:
    told, ended = threading.Event(), threading.Event()

    def work() -> None:
        told.wait()
        ended.set()

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(in_thread(work, on_cancel=told.set))
            await asyncio.sleep(0)
            assert not told.is_set()
            task.cancel()
        assert task.cancelled()

    asyncio.run(body())
    assert ended.wait(30)


def test_an_abort_that_fails_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    called = threading.Event()

    def abort() -> None:
        called.set()
        raise EOFError

    give_up(abort)
    assert called.wait(30)
    for thread in threading.enumerate():
        if thread.name == "factory-cancel":
            thread.join(30)
    assert capfd.readouterr() == ("", "")


def test_a_thread_that_outlives_its_loop_ends_quietly() -> None:
    gate, ended = threading.Event(), threading.Event()

    def work() -> int:
        gate.wait()
        ended.set()
        return 1

    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(in_thread(work))
            await asyncio.sleep(0)
            task.cancel()

    asyncio.run(body())
    gate.set()
    assert ended.wait(30)


def test_posting_to_a_closed_loop_does_nothing() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    post(loop, lambda: None)
