"""SSH signatures on sign-offs, made and verified by ``ssh-keygen``: a mere login cannot sign for somebody else."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from gate.approval.signoffs import SignOff
from gate.errors import OperationFailed, Refused, ShellError
from gate.machine import shell

_TIMEOUT = 60.0  # an agent may ask its owner first


def sign(item: SignOff, key: Path) -> str:
    """The signature over a sign-off's text with a private key, or with a public one whose other half an agent holds.

    Raises Refused when that key cannot sign: a passphrase is never asked for here.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="sign-") as folder:
            text = Path(folder) / "text"
            text.write_text(item.text, encoding="utf-8")
            shell.run(
                ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", item.namespace, str(text)], timeout=_TIMEOUT
            )
            return text.with_name("text.sig").read_text(encoding="utf-8")
    except ShellError as fault:
        raise Refused(
            f"{key}: cannot sign: {fault}",
            next_step=f"ssh-add {key}   if it has a passphrase, then the same command again",
        ) from None
    except OSError as fault:
        raise OperationFailed(f"{fault.filename or key}: {fault.strerror}") from None


def fault(item: SignOff, allowed_signers: Path) -> str:
    """Why the signature is not one that the person named may give, by a file of allowed signers; empty when it is.

    The text is made anew from what is remembered: a record that somebody changed fits no signature.
    """
    if not item.signature:
        return "is not signed"
    if not allowed_signers.is_file():
        return f"{allowed_signers} does not exist, so that no signature can be verified"
    others = writable_by_others(allowed_signers)
    if others is not None:
        return f"others than its owner may write {others}, so that anybody could sign: chmod go-w {others}"
    try:
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            signature = Path(folder) / "signature"
            signature.write_text(item.signature, encoding="utf-8")
            argv = ["ssh-keygen", "-Y", "verify", "-f", str(allowed_signers), "-I", item.by, "-n", item.namespace]
            ended = shell.run([*argv, "-s", str(signature)], timeout=_TIMEOUT, check=False, stdin=item.text)
    except ShellError as broken:
        return f"the signature could not be verified: {broken}"
    except OSError as broken:
        return f"the signature could not be verified: {broken.strerror}"
    return "" if ended.code == 0 else f"the signature is none that {item.by} may give for {item.role}"


def writable_by_others(file: Path) -> Path | None:
    """The file, or the folder it lies in, if others than its owner may write it by its mode; None where nobody may.

    Of a folder with the sticky bit nobody can take away what is another's.
    """
    if os.name != "posix":  # there the mode tells nothing
        return None
    written = stat.S_IWGRP | stat.S_IWOTH
    real = file.resolve()
    try:
        if real.stat().st_mode & written:
            return real
        mode = real.parent.stat().st_mode
    except OSError:  # what cannot be read verifies nothing either
        return None
    return real.parent if mode & written and not mode & stat.S_ISVTX else None
