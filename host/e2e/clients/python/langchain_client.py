"""PyPI `langchain-ollama`."""

import json

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM

import checks
from checks import EMBEDDER, MODEL, QUESTION, expect


def model(**fields):
    return ChatOllama(**({"model": MODEL, "base_url": checks.URL} | fields))


def end(message):
    meta, usage = message.response_metadata, message.usage_metadata
    expect(meta["total_duration"] > 0, "the durations are missing")
    return f"{meta['done_reason']}, {checks.tokens(usage['input_tokens'], usage['output_tokens'])}"


def list_models():
    """Its only way to look: it refuses to be made for a model that is missing, and says which there are."""
    model(validate_model_on_init=True)
    refused = checks.raised(lambda: model(model="nobody:1b", validate_model_on_init=True))
    return refused[refused.index("Available") : refused.index(" [type=")]


def chat():
    answer = model().invoke(QUESTION)
    return f"{answer.content} ({end(answer)})"


def stream():
    chunks = list(model().stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return f"{len(chunks)} chunks: {whole.content} ({end(whole)})"


def generate():
    return OllamaLLM(model=MODEL, base_url=checks.URL).invoke(QUESTION)


def tools():
    able = model().bind_tools([checks.TOOL])
    messages = [HumanMessage(checks.TOOL_QUESTION)]
    called = able.invoke(messages)
    call = called.tool_calls[0]
    messages += [called, ToolMessage(checks.TOOL_RESULT, tool_call_id=call["id"])]
    return f"{call['name']} {json.dumps(call['args'])}, then: {able.invoke(messages).content}"


def schema():
    form = {"title": "sky", "description": "The sky."} | checks.SCHEMA
    return json.dumps(model().with_structured_output(form, method="json_schema").invoke(QUESTION))


def thinking():
    answer = model(reasoning=True).invoke(QUESTION)
    expect(answer.content, "no answer came after the thinking")
    return answer.additional_kwargs["reasoning_content"]


def images():
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": f"data:image/png;base64,{checks.PNG}"},
    ]
    return end(model().invoke([HumanMessage(parts)]))


def embed():
    embedder = OllamaEmbeddings(model=EMBEDDER, base_url=checks.URL)
    return checks.vectors(embedder.embed_documents(checks.SENTENCES))


def cancel():
    chunks = model().stream(QUESTION)
    text = next(chunks).content + next(chunks).content
    chunks.close()
    return f"left after: {text}"


def unknown_model():
    return checks.raised(lambda: model(model="nobody:1b").invoke(QUESTION))


def midstream_error():
    seen = []

    def read():
        for chunk in model().stream(QUESTION):
            seen.append(chunk)

    return f"{checks.raised(read)} (after {len(seen)} chunks)"


def queue_full():
    return checks.raised(lambda: model().invoke(QUESTION))


checks.run(
    "langchain-ollama",
    {
        "list": list_models,
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
