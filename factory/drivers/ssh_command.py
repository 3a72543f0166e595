"""One command over SSH: starts it, moves its three streams, and tells how it ended. Blocking: belongs in a thread."""

from __future__ import annotations

import contextlib
import selectors
import threading
from collections.abc import Callable, Iterable

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from factory.quantity import Duration

_CHUNK = 32 * 1024
_SILENCE_AFTER_EXIT = Duration(2)
"""A command that left something running in the background never ends its output: no more is waited for than this."""


class ConnectionBroke(Exception):
    """The connection ended before the command did, or could not carry it."""


class Command:
    """A command in a channel of its own. ``run`` blocks; ``abort`` may be called from any thread."""

    def __init__(self, transport: paramiko.Transport, command: str, *, with_terminal: bool = False) -> None:
        self._transport = transport
        self._command = command
        self._with_terminal = with_terminal
        self._channel: paramiko.Channel | None = None
        self._started = False
        self._aborted = False
        self._lock = threading.Lock()
        """Held while something is sent that ends the channel: a server hangs up altogether when it is asked something
        about a channel that was closed before."""

    def run(self, stdin: Iterable[bytes], on_output: Callable[[str, bytes], None], *, patience: Duration) -> int:
        """Returns the exit status. *patience* bounds the start and each single write, not the whole run.

        Raises: ConnectionBroke; whatever *on_output* or *stdin* raises.
        """
        try:
            channel = self._start(patience)
            feeder = _Feeder(channel, stdin)
            feeder.start()
            self._pump(channel, on_output)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionBroke(str(error) or "the connection was closed") from error
        finally:
            self._close()
        if feeder.failure is not None:
            raise feeder.failure
        if channel.exit_status == -1:
            raise ConnectionBroke("the connection ended before the command did")
        return int(channel.exit_status)

    def abort(self) -> None:
        """Asks the guest to end the command (OpenSSH 7.9 and dropbear do), and closes the channel.

        One that is just being started is ended as soon as it has been.
        """
        with self._lock:
            self._aborted = True
            if self._started:
                self._end()

    def _start(self, patience: Duration) -> paramiko.Channel:
        channel = self._transport.open_session(timeout=float(patience))
        self._channel = channel
        if self._aborted:
            raise ConnectionBroke("the command was given up before it started")
        channel.settimeout(float(patience))
        channel.fileno()  # from now on data, ends and closing make this descriptor readable
        if self._with_terminal:
            channel.get_pty(width=200, height=50)
        channel.exec_command(self._command)
        with self._lock:
            self._started = True
            if self._aborted:
                self._end()
                raise ConnectionBroke("the command was given up while it started")
        return channel

    def _end(self) -> None:
        """Ends the command in the guest, and then its channel. The lock is held."""
        if self._channel is not None and not self._channel.closed:
            _send_signal(self._transport, self._channel, "TERM")
            self._channel.close()

    def _close(self) -> None:
        with self._lock, contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # it may be broken already
            if self._channel is not None:
                self._channel.close()

    def _pump(self, channel: paramiko.Channel, on_output: Callable[[str, bytes], None]) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(channel.fileno(), selectors.EVENT_READ)
            while True:
                quiet = not selector.select(float(_SILENCE_AFTER_EXIT))
                while channel.recv_ready():
                    on_output("stdout", channel.recv(_CHUNK))
                while channel.recv_stderr_ready():
                    on_output("stderr", channel.recv_stderr(_CHUNK))
                if channel.closed or channel.eof_received:
                    break
                if quiet and channel.exit_status_ready():
                    return
        self._drain(channel, on_output)
        # After the end of its output a program may still run: the selector would spin, so wait for the status itself.
        channel.status_event.wait()

    @staticmethod
    def _drain(channel: paramiko.Channel, on_output: Callable[[str, bytes], None]) -> None:
        while channel.recv_ready():
            on_output("stdout", channel.recv(_CHUNK))
        while channel.recv_stderr_ready():
            on_output("stderr", channel.recv_stderr(_CHUNK))


class _Feeder(threading.Thread):
    """Writes a command's input while its output is read: doing one after the other would deadlock."""

    def __init__(self, channel: paramiko.Channel, stdin: Iterable[bytes]) -> None:
        super().__init__(name="factory-ssh-stdin", daemon=True)
        self._channel = channel
        self._stdin = stdin
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            for chunk in self._stdin:
                self._channel.sendall(chunk)
            self._channel.shutdown_write()
        except (paramiko.SSHException, EOFError):
            pass
        except TimeoutError:
            self._fail(ConnectionBroke("the guest took no more data"))
        except OSError as error:
            # A closed channel is no failure: a command may end without reading its input. A file of ours that can't
            # be read is one.
            if error.filename is not None:
                self._fail(error)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()


def _send_signal(transport: paramiko.Transport, channel: paramiko.Channel, name: str) -> None:
    """RFC 4254 §6.9, which paramiko has no call for. Best effort."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)
    message.add_string(name)
    with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
        transport._send_user_message(message)  # type: ignore[attr-defined]  # not public, but stable since 2004
