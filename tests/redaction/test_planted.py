"""Planted secrets in every way they travel in, at cuts, in hostile lines; and ordinary text, which stays."""

from __future__ import annotations

import base64
import json
import time

import pytest

from gate.redact import REDACTED, Redactor, cut
from gate.redact.reading import Reading, bare
from tests.redaction import planted

SECRETS = planted.secrets()
ALL = Redactor(SECRETS)
MEGABYTE = 1_000_000


def left_of(value: str, text: str) -> list[str]:
    return [trace for trace in planted.traces(value) if trace in text]


@pytest.mark.parametrize("way", planted.WAYS)
def test_every_way_of_every_secret(way: str) -> None:
    write = planted.WAYS[way]
    for value in SECRETS:
        shown = ALL(f"before it {write(value)} behind it")
        assert not left_of(value, shown), (way, value, shown)
        assert REDACTED in shown
        assert shown.startswith("before it ")


def test_two_hundred_secrets_are_two_hundred() -> None:
    assert len(set(SECRETS)) == planted.MANY >= 200


def test_in_the_tree_of_a_document_keys_included() -> None:
    tree = {value: [value, {"n": (1, value)}] for value in SECRETS[:30]}
    shown = json.dumps(ALL.tree(tree))
    assert not [value for value in SECRETS[:30] if left_of(value, shown)]


@pytest.mark.parametrize("value", ["correct-Horse7battery staple", "Zq8=x/7yTgb4Rfv5Cde3", "a b\"c'd8efgh1234"])
def test_what_a_cut_leaves_of_it(value: str) -> None:
    redact = Redactor([value])
    for length in range(8, len(value)):
        head, tail = value[:length], value[-length:]
        for text in (f"is {head}...", f"is {head}…", f"is {head}", f"is {head}\nmore", f"is {head}\\nmore"):
            assert head not in redact(text), text
        for text in (f"...{tail} it is", f"…{tail} it is", f"{tail} it is", f"more\n    {tail} it is"):
            assert tail not in redact(text), text


def test_a_text_of_a_server_that_is_cut_within_a_sentence() -> None:
    value = "Zq8x7yTgb4Rfv5Cde3"
    redact = Redactor([value])
    for length in range(8, len(value)):
        head = cut.head(f"bad token {value}", 10 + length)
        assert redact(f"status 403: {head}; again: try") == "status 403: bad token [redacted]…; again: try"
        tail = cut.tail(f"{value} is bad", 7 + length)
        assert redact(f"it was refused: {tail}, 3 times") == "it was refused: …[redacted] is bad, 3 times"
    assert cut.head(value, len(value)) == cut.tail(value, len(value)) == value


def test_a_secret_that_is_wrapped_in_the_middle() -> None:
    value = "Zq8x7yTgb4Rfv5Cde3Uio9Pkl2"
    for place in range(8, len(value) - 8):
        shown = Redactor([value])(f"key {value[:place]}\n        {value[place:]} end")
        assert value[:place] not in shown
        assert value[place:] not in shown
        assert shown.endswith(" end")


PASSPHRASE = "correct horse battery staple 7Kx pomegranate velvet lantern 42 crimson orchard whistle 9 delta/Zz"


def test_a_long_one_wrapped_anywhere_and_marked_as_diffs_and_tracebacks_mark_it() -> None:
    """Between any two characters: the ends of two literals, a line's end, a prefix, and a line of hints."""
    redact = Redactor([PASSPHRASE])
    for place in range(3, len(PASSPHRASE) - 3):
        head, tail = PASSPHRASE[:place], PASSPHRASE[place:]
        for gap in (
            "'\n 'x",
            "\nx",
            "'\nE     +         'x",
            '"\n  -  "x',
            "'\n  ?    ^^^ +\n  + 'x",
            "&#x27;\n+ &#x27;x",
        ):
            assert redact(f"is {head}{gap[:-1]}{tail}' so") == "is [redacted]' so", (place, gap)


def test_lines_of_a_long_one_each_on_its_own() -> None:
    """As a log or a terminal is written, and where a diff has the lines of another value between them."""
    redact = Redactor([PASSPHRASE])
    lines = [PASSPHRASE[:30], PASSPHRASE[30:62], PASSPHRASE[62:]]
    for line in lines:
        for text in (
            line,
            f"{line}\n",
            f"E     +     '{line}',\n",
            f"  -  '{line}'",
            f"    '{line}'\n  + 'something else'",
        ):
            assert line.strip() not in redact(text), text


def test_lines_of_base64_each_on_its_own() -> None:
    wrapped = base64.encodebytes(PASSPHRASE.encode() * 4).decode().splitlines()
    for line in wrapped[1:-1]:
        assert len(line) == 76
        assert Redactor([PASSPHRASE * 4])(line) == REDACTED


def test_another_value_that_is_nearly_the_same() -> None:
    shown = Redactor([PASSPHRASE])(f"before it {PASSPHRASE.replace('velvet', 'cotton')} behind it")
    assert shown == "before it [redacted] cotton [redacted] behind it"


@pytest.mark.parametrize(
    "text",
    [
        "a blue green deployment",
        "blue  green",
        "my database password is wrong",
        "its ok",
        "staging9, box",
        "'staging9'\n'hut'",
        "the box staging9 has",
        "orange %2A teal",
        "    'production',\n    'database'\n",
        "%d of %s &amp; &lt;b&gt; \\u0041 \\n",
    ],
)
def test_escapes_and_blanks_make_no_short_secret_of_ordinary_text(text: str) -> None:
    values = ["blue+green", "my-database-password", "it's ok", "staging9 box", "orange+teal", "production-database"]
    assert Redactor(values)(text) == text


SHORT = ["ab'cd\"ef", "it's ok", "a'b\"c'd", "pw''x\"9z", "x'\"y'z7", "Zq8'x\"7y", "ab''cd", '"x1\'y2z"']


@pytest.mark.parametrize("way", planted.WAYS)
def test_every_way_of_short_ones_with_quotes(way: str) -> None:
    """Nothing but quotes, and of base64 a letter of two bits and what is beside it, is left."""
    for value in SHORT:
        shown = Redactor([value])(planted.WAYS[way](value))
        assert REDACTED in shown, (way, value, shown)
        assert not left_of_short(value, shown), (way, value, shown)


def left_of_short(value: str, shown: str) -> bool:
    """Whether the letters and figures of it, and the quotes between them, are still there, as they are or read back."""
    return bare(value) in bare(Reading(shown).plain)


@pytest.mark.parametrize("value", SHORT)
def test_a_cut_leaves_nothing_of_one_with_quotes_twice(value: str) -> None:
    long = f"{value}{value[::-1]}-7Kx"
    text = long.replace("'", "''")
    head = text[: len(text) - 4]
    assert bare(head) not in bare(Redactor([long])(f"INSERT '{head}..."))


def test_what_stands_around_a_secret_in_escapes_stays() -> None:
    redact = Redactor(["s3cr&t9/x y"])
    assert redact("%61%62%73%33%63%72%26%74%39%2f%78%20%79%61") == "%61%62[redacted]%61"
    assert redact("&lt;b&gt;s3cr&amp;t9/x y&lt;/b&gt;") == "&lt;b&gt;[redacted]&lt;/b&gt;"
    assert redact('{"a":"\\u003cs3cr\\u0026t9\\/x y\\n"}') == '{"a":"\\u003c[redacted]\\n"}'


@pytest.mark.parametrize(
    "text",
    [
        "we use postgresql",
        "the environment is production...",
        "a staging database\nand its authentication",
        "GET /api/sales/17 200 12 ms",
        "password=password, token=token",
        "connect(password=self.password)",
        "Basic understanding of bearer authentication",
        "cookie: none",
        "see https://shop.example/a@b and 12:30@noon",
        "task-2026-very-long-name-of-a-branch",
        "version 1.1.0+slow-checkout sha256:0123456789abcdef",
        "-----BEGIN CERTIFICATE-----",
        "the private key is missing",
        "KeyError: 'discount' (store/checkout.py:88)",
        "2026-11-24 02:14:07.331 ERROR authorization of the user failed",
    ],
)
def test_ordinary_text_stays_beside_secrets_that_look_like_it(text: str) -> None:
    redact = Redactor(
        ["production-db-password-1", "postgresql://shop:s3cret-shop@db/shop", "authentication-key-77", "staging9 box"]
    )
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("('authorization', 'Bearer abc.def-123')", "abc.def"),
        ('{"Authorization": ["Token abc-def-123"]}', "abc-def"),
        ('{\\"authorization\\": \\"abc-def-123\\"}', "abc-def"),
        ("Authorization: Digest username=u, response=0a4f113b", "0a4f113b"),
        ("Cookie: sid=77-aa-bb; theme=dark", "77-aa-bb"),
        ("Set-Cookie: sid=77-aa-bb; Path=/; HttpOnly", "77-aa-bb"),
        ("[('set-cookie', 'sid=77-aa-bb')]", "77-aa-bb"),
        ("X-Api-Key: 77-aa-bb", "77-aa-bb"),
        ("https://shop.example/x?a=1&access_token=77-aa-bb&b=2", "77-aa-bb"),
        ("host=db user=shop password=77-aa-bb dbname=shop", "77-aa-bb"),
        ("PGPASSWORD='77-aa-bb'", "77-aa-bb"),
        ("https://hooks.slack.com/services/T000/B000/aaaa77", "aaaa77"),
        ("https://0123456789abcdef0123456789abcdef@o1.ingest.example/1", "0123456789abcdef"),
        ("Basic dXNlcjpwdw==", "dXNlcjpwdw"),
        ("bearer abcdef123456abcdef", "abcdef123456"),
        ("sk_live_" + "4eC39HqLyjWD", "4eC39"),
        ("whsec_" + "aB3" * 8, "aB3aB3"),
        ("ASIA" + "A1" * 8, "A1A1"),
        ("glpat-" + "x7" * 10, "x7x7"),
        ("AIza" + "x7-_y" * 7, "x7-_y"),
        ("token%3Dghp_" + "a" * 36, "aaaa"),
        ("\\nghp_" + "a" * 36, "aaaa"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + "A" * 58 + "\nshort=\n-----END RSA PRIVATE KEY-----\nmore",
            "MIIE",
        ),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEow" + "A" * 58 + "\\n-----END PRIVATE KEY-----\\n", "MIIE"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk" + "B" * 40, "b3Blb"),
    ],
)
def test_more_shapes_of_secrets_nobody_declared(text: str, gone: str) -> None:
    shown = Redactor()(f"before {text} after")
    assert gone not in shown
    assert shown.startswith("before ")
    assert Redactor()(shown) == shown


HOSTILE = {
    "one letter": "a" * MEGABYTE,
    "dots": "a." * (MEGABYTE // 2),
    "blanks": "authorization:" + " " * MEGABYTE,
    "web tokens": "-eyJ" * (MEGABYTE // 4),
    "schemes": "x://a:" * (MEGABYTE // 6),
    "keys": "-----BEGIN PRIVATE KEY-----" * (MEGABYTE // 27),
    "words of a key": "-----BEGIN PRIVATE KEY-----" + " A" * (MEGABYTE // 2),
    "cookies": "cookie: a" * (MEGABYTE // 9),
    "beginnings of a secret": "s3cr e" * (MEGABYTE // 6),
    "quotes": '"' * MEGABYTE,
    "backslashes": "\\" * MEGABYTE,
    "ellipses": "..." * (MEGABYTE // 3),
    "line ends": "\n" * MEGABYTE,
    "percent signs": "%25" * (MEGABYTE // 3),
    "ampersands": "&amp;" * (MEGABYTE // 5),
    "one long entity": "&" + "amp;" * (MEGABYTE // 4),
    "escapes": "\\u0026" * (MEGABYTE // 6),
    "marks of a diff": "\nE   ?  " * (MEGABYTE // 8),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_of_a_megabyte_costs_what_its_length_costs(name: str) -> None:
    """Twice the length, about twice the time: measured on a tenth, so that one that grows faster is seen, not waited
    for."""
    redact = Redactor([f"s3cr et/{number}'\"<&>{number * 7919}" for number in range(3)])

    def took(text: str) -> float:
        began = time.process_time()
        redact(text)
        return time.process_time() - began

    tenth = took(HOSTILE[name][: MEGABYTE // 10])
    whole = took(HOSTILE[name])
    assert whole < 40 * tenth + 0.5, (tenth, whole)
