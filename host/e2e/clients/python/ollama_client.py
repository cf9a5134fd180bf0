"""PyPI `ollama`."""

import json

import ollama

import checks
from checks import EMBEDDER, MODEL, QUESTION, expect

client = ollama.Client(host=checks.URL)
asked = [{"role": "user", "content": QUESTION}]


def list_models():
    return ", ".join(model.model for model in client.list().models)


def show():
    shown = client.show(MODEL)
    return f"{shown.details.family}, {', '.join(shown.capabilities)}, {shown.modelinfo['qwen3.context_length']} context"


def end(last):
    expect(last.total_duration > 0, "the durations are missing")
    return f"{last.done_reason}, {checks.tokens(last.prompt_eval_count, last.eval_count)}"


def chat():
    answer = client.chat(MODEL, asked)
    return f"{answer.message.content} ({end(answer)})"


def stream():
    chunks = list(client.chat(MODEL, asked, stream=True))
    text = "".join(chunk.message.content for chunk in chunks)
    return f"{len(chunks)} chunks: {text} ({end(chunks[-1])})"


def generate():
    answer = client.generate(MODEL, QUESTION)
    return f"{answer.response} ({end(answer)}, {len(answer.context)} of context)"


def tools():
    messages = [{"role": "user", "content": checks.TOOL_QUESTION}]
    called = client.chat(MODEL, messages, tools=[checks.TOOL])
    call = called.message.tool_calls[0].function
    messages += [called.message, {"role": "tool", "tool_name": call.name, "content": checks.TOOL_RESULT}]
    answer = client.chat(MODEL, messages, tools=[checks.TOOL])
    return f"{call.name} {json.dumps(dict(call.arguments))}, then: {answer.message.content}"


def schema():
    return client.chat(MODEL, asked, format=checks.SCHEMA).message.content


def thinking():
    message = client.chat(MODEL, asked, think=True).message
    expect(message.content, "no answer came after the thinking")
    return message.thinking


def images():
    message = {"role": "user", "content": QUESTION, "images": [checks.PNG_BYTES]}
    return end(client.chat(MODEL, [message]))


def embed():
    answer = client.embed(EMBEDDER, checks.SENTENCES)
    return f"{checks.vectors(answer.embeddings)}, {answer.prompt_eval_count} tokens"


def cancel():
    chunks = client.chat(MODEL, asked, stream=True)
    text = next(chunks).message.content + next(chunks).message.content
    chunks.close()
    return f"left after: {text}"


def unknown_model():
    return checks.raised(lambda: client.chat("nobody:1b", asked))


def midstream_error():
    seen = []

    def read():
        for chunk in client.chat(MODEL, asked, stream=True):
            seen.append(chunk.message.content)

    return f"{checks.raised(read)} (after {len(seen)} chunks)"


def queue_full():
    return checks.raised(lambda: client.chat(MODEL, asked))


checks.run(
    "ollama",
    {
        "list": list_models,
        "show": show,
        "chat": chat,
        "stream": stream,
        "generate": generate,
        "tools": tools,
        "schema": schema,
        "thinking": thinking,
        "images": images,
        "embed": embed,
        "cancel": cancel,
        "unknown-model": unknown_model,
        "midstream-error": midstream_error,
        "queue-full": queue_full,
    },
)
