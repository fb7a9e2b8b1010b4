"""Takes secrets out of a command line before it is recorded: by the name they stand under, or by their shape.

It rather takes too much than too little. Every expression here is linear: a word starts only where none is
running, and what repeats is possessive or ends at what may not follow it.
"""

import re
from collections.abc import Sequence

REDACTED = "[redacted]"

_NAMES = re.compile(r"password|passwd|passphrase|secret|credential|apikey|accesskey|privatekey")
_LAST_WORDS = re.compile(r"(?:\w*(?:token|auth|authorization)|pwd)")

_HEAD = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]++)(?P<sign>["']?+\s*+[=:]\s*+|\s++)""")
_VALUE = re.compile(
    r"""(?:(?i:bearer|basic|digest|token)\s++)?+(?:"(?:[^"\\]|\\.)*+"?|'[^']*+'?|[^\s"'&])++""", re.DOTALL
)
_WHOLE = re.compile(r"(?P<name>[\w.-]++)(?P<sign>\s*+[=:])(?P<value>.++)", re.DOTALL)
_FLAG = re.compile(r"--?[A-Za-z][\w.-]*+")
_NOT_A_VALUE = re.compile(r"-[A-Za-z]|--[a-z]++(?:-[a-z]++)*+(?:=.*+)?+", re.DOTALL)

_USER_INFO = re.compile(r"(?:(?<!ssh)://[^/?#\s]*|://[^/?#\s:]*:[^/?#\s]*)@")
_SHAPES = re.compile(
    r"(?<![\w-])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}+"
    r"|gh[opsur]_[A-Za-z0-9]{20,}+"
    r"|github_pat_\w{20,}+"
    r"|glpat-[\w-]{20,}+"
    r"|hf_[A-Za-z0-9]{20,}+"
    r"|sk-(?=[A-Za-z_-]*+[0-9])[\w-]{20,}+"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}+"
    r"|AIza[\w-]{35}+"
    r"|pypi-[\w-]{40,}+"
    r"|eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)?+"
    r"|(?i:bearer)\s++[\w.~+/=-]{8,}+"
    r")"
)
_SIGNATURE = re.compile(r"([?&](?:sig|X-Amz-Signature)=)[^&\s]++")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*+", re.DOTALL)


def redact_command(argv: Sequence[str]) -> list[str]:
    """The command with every secret value replaced by `[redacted]`.

    Secret are: the value of an option, assignment or header whose name speaks of a password, secret, token,
    key or credential, also as the next argument; the user part of an address; well-known shapes of tokens.
    """
    redacted: list[str] = []
    flag = ""
    for argument in argv:
        named = says_secret(flag) and not _NOT_A_VALUE.fullmatch(argument)
        redacted.append(REDACTED if named else redact_text(argument))
        flag = argument if _FLAG.fullmatch(argument) and not named else ""
    return redacted


def redact_text(text: str) -> str:
    """One argument, or any other text, with its secrets replaced."""
    text = _PRIVATE_KEY.sub(REDACTED, text)
    text = _USER_INFO.sub(f"://{REDACTED}@", text)
    text = _SIGNATURE.sub(rf"\g<1>{REDACTED}", text)
    text = _SHAPES.sub(REDACTED, text)
    whole = _WHOLE.match(text)
    if whole and _is_secret(whole):
        return whole["name"] + whole["sign"] + REDACTED
    return _redact_values(text)


def _redact_values(text: str) -> str:
    """Replace the secret values inside a longer text, a shell command or JSON say."""
    pieces: list[str] = []
    copied = at = 0
    while head := _HEAD.search(text, at):
        at = head.end()
        value = _VALUE.match(text, at) if _is_secret(head) else None
        if value:
            pieces += [text[copied:at], REDACTED]
            copied = at = value.end()
    return "".join(pieces) + text[copied:]


def says_secret(name: str) -> bool:
    """Whether the name of an option, variable or header says that its value is secret.

    `tokens`, `tokenizer` and `author` do not; `HF_TOKEN`, `clientSecret`, `--api-key` and `oauth` do.
    """
    words = re.split(r"[_.\W]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    return bool(_NAMES.search("".join(words))) or any(_LAST_WORDS.fullmatch(word) for word in words)


def _is_secret(head: re.Match[str]) -> bool:
    """What stands before a value: `name=`, `name:` or, for options alone, `--name `."""
    name, sign = head["name"], head["sign"]
    if sign.isspace() and not name.startswith("-"):
        return False
    # before a colon the name may be a host, so only its last part counts
    return says_secret(name.rpartition(".")[2] if ":" in sign else name)
