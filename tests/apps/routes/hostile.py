"""Values that no client sends in good faith, and what an answer to them must never be."""

import re
from dataclasses import dataclass

FORGED = "[2026-01-01 00:00:00,000] [1] [MainThread] [INFO] (forged:1) - all labels were removed"

NAMES = (
    "",
    " ",
    "\t",
    ".",
    "..",
    "../..",
    "../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "/etc/hostname",
    "/",
    "//etc//passwd",
    "file:///etc/passwd",
    "http://127.0.0.1:1/x",
    "~root",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2fetc%2fpasswd",
    "%00",
    "a\x00b",
    "\x00",
    "a\nb",
    f"a\n{FORGED}",
    f"a\r\n{FORGED}",
    f"a\u2028{FORGED}",
    f"a\x85{FORGED}",
    "x" * 300,
    "x" * 5000,
    "a" + ".b" * 400,
    "scan.nii.gz" * 30,
    "u\u0308" * 50,
    "M\u00fcller",
    "Mu\u0308ller",
    "\ud800",
    "a\udcffb",
    "\u202egnp.exe",
    "CON",
    "nul.nii.gz",
    "-rf",
    "$(touch /tmp/x)",
    "'; DROP TABLE scans; --",
    "{{7*7}}",
    "<script>alert(1)</script>",
    ".lock",
    "datastore_v2.json",
    "\U0001f9e0" * 70,
)

VALUES = (None, True, 5, -1, 1.5, [], ["a"], {}, {"a": {"b": 1}}, [[[]]], 10**30)
"""JSON values where a text is expected."""

BODIES = (
    b"",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"not json",
    b"{",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": "\\ud800"}',
    b'{"\\udc00": 1}',
    b'{"a": "\\u0000"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"a":' + b"9" * 5000 + b"}",
)


@dataclass(frozen=True)
class Answer:
    """What a server said, and to what."""

    asked: str
    status: int
    text: str


def faults(answer: Answer, folders: list[str]) -> list[str]:
    """What is wrong with an answer.

    Args:
        answer: status and text.
        folders: of the server, which no answer may tell.
    """
    found = []
    if answer.status >= 500:
        found.append("status")
    if "Traceback" in answer.text:
        found.append("traceback")
    found += [f"tells {folder}" for folder in folders if folder in answer.text]
    return found


def forged_lines(log: str) -> list[str]:
    """Lines of a log that start as a forged record does."""
    return [line for line in re.split(r"[\n\r\x0b\x0c\x85\u2028\u2029]", log) if line.startswith(FORGED[:30])]
