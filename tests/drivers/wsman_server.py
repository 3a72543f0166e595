"""A WinRM server for tests: WS-Management (MS-WSMV) with basic authentication, whose commands run in this host's sh."""

from __future__ import annotations

import base64
import os
import selectors
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from factory.drivers.protocols import GuestAddress

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
OPERATION_TIMEOUT = 2150858793


class WindowsGuest:
    """What the server does and has seen. ``setup`` is what the registry says of Windows Setup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.setup = "0x0"
        self.status = 0  # an HTTP status that every request gets
        self.password = "hunter22"
        self.commands: list[str] = []
        self.shells = 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.address = GuestAddress("127.0.0.1", 0)

    def start(self, command: str) -> str:
        self.commands.append(command)
        if command.startswith("reg query"):
            command = f"echo '    SystemSetupInProgress    REG_DWORD    {self.setup}'"
        name = f"C{len(self.commands)}"
        self.processes[name] = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            start_new_session=True,
        )
        return name

    def end(self, name: str) -> None:
        """With all that it has started, as Windows ends a job."""
        process = self.processes[name]
        if process.returncode is None:  # not waited for yet: the number is still its own
            os.killpg(process.pid, signal.SIGKILL)

    def receive(self, name: str, patience: float) -> str | None:
        """The XML of what a command has printed since; None when it is silent for *patience* seconds."""
        process = self.processes[name]
        streams, until = "", time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            for label, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
                if pipe is not None and not pipe.closed:
                    selector.register(pipe, selectors.EVENT_READ, label)
            while not streams and time.monotonic() < until and selector.get_map():
                for key, _ in selector.select(0.1):
                    data = key.fileobj.read1(65536)  # type: ignore[union-attr]
                    if data:
                        text = base64.b64encode(data).decode()
                        streams += f'<rsp:Stream Name="{key.data}">{text}</rsp:Stream>'
                    else:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
            ended = not selector.get_map() and not streams
        if not streams and not ended:
            return None
        state, code = ("Done", f"<rsp:ExitCode>{process.wait()}</rsp:ExitCode>") if ended else ("Running", "")
        attributes = f'CommandId="{name}" State="{SHELL}/CommandState/{state}"'
        return f"{streams}<rsp:CommandState {attributes}>{code}</rsp:CommandState>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    guest: WindowsGuest

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        expected = "Basic " + base64.b64encode(f"Administrator:{self.guest.password}".encode()).decode()
        if self.guest.status:
            self._send(self.guest.status, "no WinRM here")
        elif self.headers.get("Authorization") != expected:
            self._send(401, "")
        else:
            self._answer(ET.fromstring(body))

    def _answer(self, request: ET.Element) -> None:
        action = (request.findtext(f".//{{{ADDRESSING}}}Action") or "").rpartition("/")[2]
        result: str | None = ""
        if action == "Create":
            self.guest.shells += 1
            selector = '<wsman:Selector Name="ShellId">S1</wsman:Selector>'
            result = (
                f"<wst:ResourceCreated><wsa:ReferenceParameters><wsman:SelectorSet>{selector}</wsman:SelectorSet>"
                "</wsa:ReferenceParameters></wst:ResourceCreated><rsp:Shell><rsp:ShellId>S1</rsp:ShellId></rsp:Shell>"
            )
        elif action == "Command":
            name = self.guest.start(request.findtext(f".//{{{SHELL}}}Command") or "")
            result = f"<rsp:CommandResponse><rsp:CommandId>{name}</rsp:CommandId></rsp:CommandResponse>"
        elif action == "Send":
            stream = request.find(f".//{{{SHELL}}}Stream")
            assert stream is not None
            pipe = self.guest.processes[stream.attrib["CommandId"]].stdin
            assert pipe is not None
            pipe.write(base64.b64decode(stream.text or ""))
            pipe.close()
        elif action == "Receive":
            stream = request.find(f".//{{{SHELL}}}DesiredStream")
            assert stream is not None
            printed = self.guest.receive(stream.attrib["CommandId"], 0.3)
            result = None if printed is None else f"<rsp:ReceiveResponse>{printed}</rsp:ReceiveResponse>"
        elif action == "Signal":
            wanted = request.find(f".//{{{SHELL}}}Signal")
            assert wanted is not None
            self.guest.end(wanted.attrib["CommandId"])
        elif action == "Delete":
            self.guest.shells -= 1
        if result is None:
            self._send(500, self._envelope(request, _timeout_fault()))
        else:
            self._send(200, self._envelope(request, result))

    def _envelope(self, request: ET.Element, body: str) -> str:
        names = {"s": SOAP, "wsa": ADDRESSING, "rsp": SHELL, "wsman": WSMAN, "wst": TRANSFER, "f": FAULT}
        spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
        relates = request.findtext(f".//{{{ADDRESSING}}}MessageID")
        header = f"<s:Header><wsa:RelatesTo>{relates}</wsa:RelatesTo></s:Header>"
        return f"<s:Envelope {spaces}>{header}<s:Body>{body}</s:Body></s:Envelope>"

    def _send(self, status: int, text: str) -> None:
        data = text.encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="WSMAN"')
        self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _timeout_fault() -> str:
    return (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>time</s:Text></s:Reason>"
        f'<s:Detail><f:WSManFault Code="{OPERATION_TIMEOUT}"/></s:Detail></s:Fault>'
    )


@contextmanager
def windows_guest(folder: Path) -> Iterator[WindowsGuest]:
    guest = WindowsGuest(folder)
    handler = type("Handler", (_Handler,), {"guest": guest})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    guest.address = GuestAddress("127.0.0.1", server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield guest
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for name, process in guest.processes.items():
            guest.end(name)
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
