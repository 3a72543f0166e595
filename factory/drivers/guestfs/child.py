"""The far side of the libguestfs driver: a stand-alone program that speaks JSON lines over stdin and stdout.

It runs under whichever interpreter can ``import guestfs`` (the binding is no PyPI package, and is bound to one minor
version of Python), so it imports nothing of ours and nothing that is not in the standard library. It owns one
libguestfs handle. When it is killed, libguestfs's recovery process ends the appliance.

Requests, one JSON object a line: ``{"id": 1, "calls": [[method, [arguments], {options}], …], "keep_going": false}``.
Answers: ``{"id": 1, "results": [{"value": …} | {"error": text}, …]}``; the list ends at the first
error unless ``keep_going``. Methods are those of ``guestfs.GuestFS``; those that begin with ``child_`` are below.
Unasked: ``{"event": "progress", "method": …, "position": …, "total": …}``. Bytes travel as
``{"$bytes": base64}``, both ways.
"""

import base64
import json
import os
import sys

import guestfs


def encode(value):
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def decode(value):
    if isinstance(value, dict):
        return base64.b64decode(value["$bytes"]) if "$bytes" in value else {k: decode(v) for k, v in value.items()}
    return [decode(v) for v in value] if isinstance(value, list) else value


class Child:
    def __init__(self, answers):
        self.answers = answers
        self.log = None
        self.method = ""
        self.open_handle()

    def open_handle(self):
        self.handle = guestfs.GuestFS(python_return_dict=True)
        self.handle.set_event_callback(self.on_progress, guestfs.EVENT_PROGRESS)

    def say(self, message):
        self.answers.write(json.dumps(message) + "\n")
        self.answers.flush()

    def on_progress(self, event, handle, buffer, numbers):
        self.say({"event": "progress", "method": self.method, "position": numbers[2], "total": numbers[3]})

    def on_message(self, event, handle, buffer, numbers):
        self.log.write(buffer if buffer.endswith("\n") else buffer + "\n")

    # --- methods beyond the binding's own ---------------------------------------------------------------------------

    def child_verbose(self, log):
        """Writes what the library and the appliance say into the file *log*, from now on."""
        self.log = open(log, "a", buffering=1, encoding="utf-8", errors="replace")  # noqa: SIM115  it lives as long as the handle
        events = guestfs.EVENT_LIBRARY | guestfs.EVENT_APPLIANCE | guestfs.EVENT_WARNING
        self.handle.set_event_callback(self.on_message, events)
        self.handle.set_verbose(True)

    def child_renew(self):
        """A new handle, after a launch that failed."""
        self.handle.close()
        self.open_handle()

    def child_paths(self, directory, scratch):
        """All names below *directory*, as base64 of NUL-separated bytes: names need not be UTF-8."""
        self.handle.find0(directory, scratch)
        try:
            with open(scratch, "rb") as stream:
                return stream.read()
        finally:
            os.unlink(scratch)

    # --- the loop ---------------------------------------------------------------------------------------------------

    def call(self, name, arguments, options):
        self.method = name
        owner = self if name.startswith("child_") else self.handle
        try:
            return {"value": encode(getattr(owner, name)(*decode(arguments), **decode(options)))}
        except AttributeError as error:
            return {"error": f"this libguestfs has no {name}: {error}"}
        except Exception as error:
            return {"error": str(error) or repr(error)}

    def answer(self, request):
        results = []
        for name, arguments, options in request["calls"]:
            results.append(self.call(name, arguments, options))
            if "error" in results[-1] and not request.get("keep_going"):
                break
        self.say({"id": request["id"], "results": results})


def main():
    # The library may print: our answers keep the real standard output for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    child = Child(answers)
    for line in sys.stdin:
        child.answer(json.loads(line))
    child.handle.close()


if __name__ == "__main__":
    main()
