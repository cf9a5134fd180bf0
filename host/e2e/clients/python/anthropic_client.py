"""PyPI `anthropic`."""

import json
import re

import anthropic

import checks
from checks import MODEL, QUESTION, expect

client = anthropic.Anthropic(base_url=checks.URL, api_key="none", max_retries=0)
asked = [{"role": "user", "content": QUESTION}]
function = checks.TOOL["function"]
TOOL = {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}


def create(**fields):
    return client.messages.create(**({"model": MODEL, "max_tokens": 500, "messages": asked} | fields))


def end(message):
    return f"{message.stop_reason}, {checks.tokens(message.usage.input_tokens, message.usage.output_tokens)}"


def texts(message):
    return "".join(block.text for block in message.content if block.type == "text")


def chat():
    answer = create()
    return f"{texts(answer)} ({end(answer)})"


def stream():
    with client.messages.stream(model=MODEL, max_tokens=500, messages=asked) as events:
        pieces = list(events.text_stream)
        last = events.get_final_message()
    return f"{len(pieces)} chunks: {''.join(pieces)} ({end(last)})"


def tools():
    messages = [{"role": "user", "content": checks.TOOL_QUESTION}]
    called = create(messages=messages, tools=[TOOL])
    expect(called.stop_reason == "tool_use", f"it ended with {called.stop_reason}")
    call = next(block for block in called.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": checks.TOOL_RESULT}
    messages += [
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    answer = create(messages=messages, tools=[TOOL])
    return f"{call.name} {json.dumps(call.input)}, then: {texts(answer)}"


def thinking():
    answer = create(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    expect(texts(answer), "no answer came after the thinking")
    return next(block.thinking for block in answer.content if block.type == "thinking")


def images():
    source = {"type": "base64", "media_type": "image/png", "data": checks.PNG}
    parts = [{"type": "text", "text": QUESTION}, {"type": "image", "source": source}]
    return end(create(messages=[{"role": "user", "content": parts}]))


def cancel():
    with client.messages.stream(model=MODEL, max_tokens=500, messages=asked) as events:
        pieces = events.text_stream
        text = next(pieces) + next(pieces)
    return f"left after: {text}"


def raised(call):
    """An error names its request, and each has another name."""
    return re.sub("req_[0-9a-f]+", "req_…", checks.raised(call))


def unknown_model():
    return raised(lambda: create(model="nobody:1b"))


def midstream_error():
    seen = []

    def read():
        with client.messages.stream(model=MODEL, max_tokens=500, messages=asked) as events:
            for piece in events.text_stream:
                seen.append(piece)
        return "the end"

    return f"{raised(read)} (after {len(seen)} chunks)"


def queue_full():
    return raised(create)


checks.run(
    "anthropic",
    {
        "chat": chat,
        "stream": stream,
        "tools": tools,
        "thinking": thinking,
        "images": images,
        "cancel": cancel,
        "unknown-model": unknown_model,
        "midstream-error": midstream_error,
        "queue-full": queue_full,
    },
)
