"""Nothing of the gate listens on the network: what opens a socket for others to reach is not in its code.

tests/commands/test_walkthrough.py hears the same while a whole story runs.
"""

from __future__ import annotations

import ast
from pathlib import Path

GATE = Path(__file__).resolve().parents[2] / "gate"
SERVERS = {"asyncio", "http.server", "multiprocessing.connection", "socketserver", "uvicorn", "wsgiref", "xmlrpc"}
ASK_WHETHER_A_PORT_IS_FREE = {"routing/dial.py", "rehearsal/lives.py", "remote/ssh.py", "stack/ports.py"}
"""They bind a socket and close it again; nobody is ever answered."""


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def serves(text: str) -> tuple[set[str], bool, bool]:
    """The servers that a module imports, whether it binds or listens on a socket, and whether it answers one."""
    if not any(word.partition(".")[0] in text for word in (*SERVERS, "socket")):
        return set(), False, False
    tree = ast.parse(text)
    names = imported(tree)
    called = {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) if isinstance(node.func, ast.Attribute)
    }
    sockets = any(name.partition(".")[0] == "socket" for name in names)
    opens = called & {"bind", "listen", "create_server"}
    return names & SERVERS, sockets and bool(opens), sockets and bool(called & {"accept", "create_server"})


def test_only_the_question_whether_a_port_is_free_binds_one() -> None:
    found = {file.relative_to(GATE).as_posix(): serves(file.read_text(encoding="utf-8")) for file in GATE.rglob("*.py")}
    assert not {name: servers for name, (servers, _, _) in found.items() if servers}
    assert {name for name, (_, binds, _) in found.items() if binds} == ASK_WHETHER_A_PORT_IS_FREE
    assert not [name for name, (_, _, answers) in found.items() if answers]


def test_what_listens_would_be_seen() -> None:
    assert serves(
        "import socket\nwith socket.socket() as s:\n    s.bind(('', 80))\n    s.listen()\n    s.accept()"
    ) == (set(), True, True)
    assert serves("import socket\nsocket.create_server(('', 80))") == (set(), True, True)
    assert serves("from http import server")[0] == {"http.server"}
    assert serves("import asyncio")[0] == {"asyncio"}
