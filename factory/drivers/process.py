"""The only module that starts processes.

Every child gets an argv (never a shell), no standard input unless asked for, a clean environment, a session and process
group of its own (Ctrl-C in the terminal reaches us, and we end our children in order), and its output goes to a log
file *and* into a bounded tail. Whatever is left of a child's group is killed when the child itself ends.

No child outlives the factory, SIGKILL included: ``setpriv --pdeathsig KILL`` ends direct children at once, and the
``watchdog`` ends their whole groups. The former fires when the *thread* that forked ends, so children are started in
the thread of the event loop. The exit of a child is seen through a pidfd (Linux 5.3) before it is reaped: until then
its number can't be reused, so that a signal never hits a stranger.
"""

from __future__ import annotations

import asyncio
import enum
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from factory.deadline import Deadline
from factory.drivers import watchdog
from factory.drivers.child_output import OnText, OutputStream
from factory.errors import CommandFailed, DeadlineExpired, Evidence, HostError
from factory.events import CommandFinished, CommandStarted, Emit, ignore
from factory.log_files import open_log
from factory.quantity import Duration, Size

TAIL = Size(64 * 1024)
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY")
"""For ``inherit``: what programs that go to the network may need."""
SSH_AGENT = ("SSH_AUTH_SOCK",)
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not in an ordinary user's PATH on Debian, but mke2fs lives there
_ORPHANED_PIPE = Duration(1)


class Stdin(enum.Enum):
    """What a child reads: nothing at all, or what ``Process.write`` gives it."""

    NOTHING = enum.auto()
    PIPE = enum.auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each rung of INT → TERM → KILL waits for a child to end. A rung of zero is left out."""

    interrupt: Duration = Duration(2)
    terminate: Duration = Duration(3)


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a program ended. ``stdout`` and ``stderr`` are tails; ``exit_status`` is negative for a signal."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: str
    stderr: str
    seconds: float
    stdout_cut: bool = False
    """True when the beginning of ``stdout`` is missing, because it was longer than what was to be kept."""


def clean_environment(extra: Mapping[str, str] | None = None, inherit: Sequence[str] = ()) -> dict[str, str]:
    """The environment of a child: PATH (with the sbin folders), HOME, TMPDIR, LANG=C.UTF-8, *inherit*, *extra*."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path += [folder for folder in _SBIN if folder not in path]
    environment = {"PATH": os.pathsep.join(path), "LANG": "C.UTF-8"}
    for name in ("HOME", "TMPDIR", *inherit):
        if name in os.environ:
            environment[name] = os.environ[name]
    return {**environment, **(extra or {})}


def find_program(name: str) -> str | None:
    """The path of a program on this host, or None."""
    return shutil.which(name, path=clean_environment()["PATH"])


class Process:
    """A running child. Made by ``spawn``, and gone when that context ends."""

    def __init__(self, argv: tuple[str, ...], popen: subprocess.Popen[bytes], emit: Emit) -> None:
        self.argv = argv
        self._popen, self._emit = popen, emit
        self._started = time.monotonic()
        self.seconds = 0.0
        self._exited = asyncio.Event()
        self._streams: tuple[OutputStream, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._on_exit)

    def _listen(self, *streams: OutputStream) -> None:
        self._streams = streams

    @property
    def pid(self) -> int:
        """Also the number of its process group."""
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.returncode

    @property
    def stdout(self) -> str:
        """The tail of standard output so far."""
        return self._streams[0].text

    @property
    def stderr(self) -> str:
        """The tail of standard error so far."""
        return self._streams[1].text

    @property
    def result(self) -> ProcessResult:
        """How it ended. Raises: RuntimeError while it runs."""
        if self.exit_status is None:
            raise RuntimeError(f"{self.argv[0]} is still running")
        return ProcessResult(
            self.argv, self.exit_status, self.stdout, self.stderr, self.seconds, stdout_cut=self._streams[0].cut
        )

    def evidence(self) -> Evidence:
        return Evidence(argv=self.argv, exit_status=self.exit_status, stderr=self.stderr or self.stdout)

    async def wait(self) -> int:
        """Waits until it has ended and all its output is read; returns its exit status.

        Raises: whatever a callback for lines raised.
        """
        await self._end()
        for stream in self._streams:
            if stream.error is not None:
                raise stream.error
        return self._popen.returncode

    async def _end(self) -> None:
        await self._exited.wait()
        for stream in self._streams:
            # Somebody who left the group may hold the pipe open for ever; what came so far is all that matters.
            with suppress(TimeoutError):
                await asyncio.wait_for(stream.ended.wait(), float(_ORPHANED_PIPE))
            stream.close()

    def send_signal(self, number: signal.Signals) -> None:
        """Signals the whole group; nothing when it has ended."""
        if not self._exited.is_set():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def terminate(self, patience: Patience = DEFAULT_PATIENCE) -> None:
        """INT, then TERM, then KILL, to the whole group; returns when it has ended."""
        try:
            for number, rung in ((signal.SIGINT, patience.interrupt), (signal.SIGTERM, patience.terminate)):
                if self._exited.is_set() or not rung:
                    continue
                self.send_signal(number)
                self.send_signal(signal.SIGCONT)  # a stopped process would not see the other one
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._exited.wait(), float(rung))
        finally:  # also when we are cancelled once more while waiting
            self.send_signal(signal.SIGKILL)
        await self._end()

    async def write(self, data: bytes) -> None:
        """Gives *data* to its standard input. Raises: BrokenPipeError when it does not read any more."""
        if self._popen.stdin is None:
            raise RuntimeError(f"{self.argv[0]} was started without standard input")
        fd, view = self._popen.stdin.fileno(), memoryview(data)
        os.set_blocking(fd, False)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                writable = asyncio.Event()
                self._loop.add_writer(fd, writable.set)
                try:
                    await writable.wait()
                finally:
                    self._loop.remove_writer(fd)

    def close_stdin(self) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def _on_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        # It is dead but not yet reaped: its number, and so its group's, is still ours.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        _watchdog.closed(self.pid)
        self.seconds = time.monotonic() - self._started
        self._exited.set()
        self._emit(CommandFinished(shlex.join(self.argv), self.pid, self._popen.returncode, round(self.seconds, 3)))


class _Watchdog:
    """Our end of the watchdog's pipe; it is started with the first child."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._open: set[str] = set()

    def start(self) -> None:
        if self._popen is not None and self._owner == os.getpid() and self._popen.poll() is None:
            return
        argv = [sys.executable, "-I", "-S", str(Path(watchdog.__file__))]
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        if self._owner != os.getpid():
            self._owner, self._open = os.getpid(), set()
        for name in self._open:
            self._tell(f"+{name}\n")

    def opened(self, what: int | Path) -> None:
        name = _name(what)
        self._open.add(name)
        self._tell(f"+{name}\n")

    def closed(self, what: int | Path) -> None:
        name = _name(what)
        self._open.discard(name)
        self._tell(f"-{name}\n")

    def _tell(self, line: str) -> None:
        if self._popen is not None and self._popen.stdin is not None:
            with suppress(BrokenPipeError):  # somebody killed it: the next start brings another
                os.write(self._popen.stdin.fileno(), line.encode())


def _name(what: int | Path) -> str:
    """A process group or a folder, as the watchdog reads it."""
    return f"/{os.fsencode(what.absolute()).hex()}" if isinstance(what, Path) else str(what)


_watchdog = _Watchdog()


@contextmanager
def gone_with_us(folder: Path) -> Iterator[None]:
    """*folder* is removed when we are killed in the body. What was renamed before that is another folder."""
    _watchdog.start()
    _watchdog.opened(folder)
    try:
        yield
    finally:
        _watchdog.closed(folder)


@asynccontextmanager
async def spawn(
    argv: Sequence[str],
    *,
    emit: Emit = ignore,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: Sequence[str] = (),
    stdin: Stdin = Stdin.NOTHING,
    log: Path | None = None,
    keep: Size = TAIL,
    on_stdout_line: OnText | None = None,
    on_stderr_line: OnText | None = None,
    pass_fds: Collection[int] = (),
    umask: int = -1,
    patience: Patience = DEFAULT_PATIENCE,
) -> AsyncIterator[Process]:
    """Starts a child and ends it, with its whole group, when the context ends.

    *inherit* names variables of our own environment that it may see (``PROXIES``, ``SSH_AGENT``); *log* takes both
    outputs, appended; *keep* bounds the tail of each; the callbacks get lines (ends are LF, CRLF or CR) without ends.
    *pass_fds* stay open in the child under the same numbers; closing ours is the caller's. *umask*: of the files that
    the child makes; -1 leaves ours.

    Raises: HostError when there is no such program.
    """
    arguments = tuple(str(a) for a in argv)
    environment = clean_environment(env, inherit)
    command = [*_death_with_parent(), _locate(arguments[0], cwd, environment["PATH"]), *arguments[1:]]
    _watchdog.start()
    log_file = open_log(log) if log is not None else None
    try:
        popen = _fork(command, stdin, cwd, environment, pass_fds, umask)
        _watchdog.opened(popen.pid)
        process = Process(arguments, popen, emit)
        assert popen.stdout is not None
        assert popen.stderr is not None
        process._listen(
            OutputStream(popen.stdout, keep, log_file, on_stdout_line),
            OutputStream(popen.stderr, keep, log_file, on_stderr_line),
        )
        try:
            emit(CommandStarted(shlex.join(arguments), popen.pid))
            yield process
        finally:
            try:
                await process.terminate(patience)
            finally:
                process.close_stdin()  # not earlier: a writer may hold it until the kernel tells it that nobody reads
    finally:
        if log_file is not None:
            log_file.close()


def _locate(name: str, cwd: Path | None, path: str) -> str:
    program = name if "/" in name else shutil.which(name, path=path)
    location = Path(cwd or ".", program or "")
    if program is None or not (location.is_file() and os.access(location, os.X_OK)):
        raise HostError(
            f"the program {name!r} is not on this computer",
            hint="install it, or put it on PATH; `factory doctor` names the package",
        )
    return program


def _fork(
    command: Sequence[str],
    stdin: Stdin,
    cwd: Path | None,
    environment: Mapping[str, str],
    pass_fds: Collection[int],
    umask: int,
) -> subprocess.Popen[bytes]:
    # Not asyncio's own: its reaping is out of our hands, and we must signal the group before the leader is reaped.
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if stdin is Stdin.PIPE else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        cwd=cwd,
        env=environment,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
        umask=umask,
    )


def _death_with_parent() -> tuple[str, ...]:
    setpriv = find_program("setpriv")  # of util-linux; busybox's has no --pdeathsig, and there the watchdog does it all
    if setpriv is None or Path(setpriv).resolve().name == "busybox":
        return ()
    # A factory that is killed between fork and prctl(2) sends no signal any more, and had no time to tell the watchdog:
    # the child finds itself adopted by another process, and does not begin.
    begin = f'[ "$PPID" = {os.getpid()} ] && exec "$@"'
    return (setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", begin, "sh")


async def run(
    argv: Sequence[str],
    *,
    deadline: Deadline,
    emit: Emit = ignore,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherit: Sequence[str] = (),
    input: bytes = b"",
    ok: Collection[int] | None = (0,),
    log: Path | None = None,
    keep: Size = TAIL,
    on_stdout_line: OnText | None = None,
    on_stderr_line: OnText | None = None,
    pass_fds: Collection[int] = (),
    hint: str = "",
) -> ProcessResult:
    """Runs a program to its end. See ``spawn`` for what the arguments mean; *ok* None allows every exit status.

    Raises: CommandFailed (with argv, status, the tail of stderr), DeadlineExpired (the program is ended first),
    HostError when there is no such program.
    """
    async with spawn(
        argv,
        emit=emit,
        cwd=cwd,
        env=env,
        inherit=inherit,
        stdin=Stdin.PIPE if input else Stdin.NOTHING,
        log=log,
        keep=keep,
        on_stdout_line=on_stdout_line,
        on_stderr_line=on_stderr_line,
        pass_fds=pass_fds,
    ) as process:
        try:
            async with deadline.limit():
                if input:
                    with suppress(BrokenPipeError):  # it ended early: its status tells
                        await process.write(input)
                    process.close_stdin()
                await process.wait()
        except DeadlineExpired:
            if deadline.expired:
                seen = f"the program is still running: {shlex.join(process.argv)}"
                raise deadline.error(seen=seen, hint=hint, evidence=process.evidence()) from None
            raise
    result = process.result
    if ok is not None and result.exit_status not in ok:
        raise CommandFailed(_failure(result), hint=hint, evidence=process.evidence())
    return result


def _failure(result: ProcessResult) -> str:
    name = Path(result.argv[0]).name
    if result.exit_status < 0:
        with suppress(ValueError):
            return f"{name} was ended by {signal.Signals(-result.exit_status).name}"
    lines = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
    said = f": {lines[-1]}" if lines else ""
    return f"{name} ended with status {result.exit_status}{said}"
