"""What every client is asked to do, and how a script says what its client saw.

A script is started with the base URL of a server. It reads the names of checks, one a line, and answers each with one
line of JSON: {client, version, check, ok, saw}. Between two checks whoever drives it may change how the server behaves.
"""

import base64
import importlib.metadata
import json
import sys

URL = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:11434"

MODEL = "qwen3:4b"
EMBEDDER = "nomic-embed-text"
QUESTION = "Why is the sky blue?"

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Rome", "Paris"]}},
            "required": ["city"],
        },
    },
}
TOOL_QUESTION = "Use get_weather for Paris."
TOOL_RESULT = "18 degrees and rain"

# The order of the properties is no accident: a schema must arrive in the order it was written in.
SCHEMA = {
    "type": "object",
    "properties": {
        "sure": {"type": "boolean"},
        "colour": {"type": "string", "enum": ["grey", "blue"]},
    },
    "required": ["sure", "colour"],
}

# One pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PNG_BYTES = base64.b64decode(PNG)

SENTENCES = ["The sea is red.", "The sky is blue."]


class Unexpected(Exception):
    """The client did not see what it should have."""


def expect(holds, sentence):
    if not holds:
        raise Unexpected(sentence)


def raised(call):
    """What the client raises, which is what a person would read."""
    try:
        result = call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"no error, but {result}"


def tokens(read, written):
    return f"{read} + {written} tokens"


def vectors(embeddings):
    """How many, how long, and how near the first two are to each other."""
    first, second = embeddings[0], embeddings[1]
    nearness = sum(a * b for a, b in zip(first, second))
    return f"{len(embeddings)} vectors of {len(first)}, {nearness:.3f} near"


def run(client, checks):
    """Answers the checks named on standard input until it ends. `checks` are functions by name."""
    version = importlib.metadata.version(client)
    for line in sys.stdin:
        name = line.strip()
        answer = {"client": f"PyPI {client}", "version": version, "check": name}
        try:
            answer |= {"ok": True, "saw": checks[name]()} if name in checks else {"ok": None, "saw": ""}
        except Exception as error:
            answer |= {"ok": False, "saw": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
