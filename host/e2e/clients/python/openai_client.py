"""PyPI `openai`."""

import openai

import checks
from checks import EMBEDDER, MODEL, QUESTION, expect

client = openai.OpenAI(base_url=f"{checks.URL}/v1", api_key="none", max_retries=0)
asked = [{"role": "user", "content": QUESTION}]


def end(reason, usage):
    return f"{reason}, {checks.tokens(usage.prompt_tokens, usage.completion_tokens)}"


def create(**fields):
    return client.chat.completions.create(**({"model": MODEL, "messages": asked} | fields))


def list_models():
    return ", ".join(model.id for model in client.models.list())


def show():
    model = client.models.retrieve(MODEL)
    return f"{model.id} of {model.owned_by}"


def chat():
    answer = create()
    choice = answer.choices[0]
    return f"{choice.message.content} ({end(choice.finish_reason, answer.usage)})"


def stream():
    chunks = list(create(stream=True, stream_options={"include_usage": True}))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    return f"{len(chunks)} chunks: {text} ({end(choices[-1].finish_reason, chunks[-1].usage)})"


def generate():
    answer = client.completions.create(model=MODEL, prompt=QUESTION)
    choice = answer.choices[0]
    chunks = list(client.completions.create(model=MODEL, prompt=QUESTION, stream=True))
    text = "".join(chunk.choices[0].text for chunk in chunks)
    expect(text == choice.text, f"streamed it is another: {text}")
    return f"{choice.text} ({end(choice.finish_reason, answer.usage)}; {len(chunks)} chunks)"


def responses():
    answer = client.responses.create(model=MODEL, input=QUESTION)
    events = [event.type for event in client.responses.create(model=MODEL, input=QUESTION, stream=True)]
    usage = checks.tokens(answer.usage.input_tokens, answer.usage.output_tokens)
    return f"{answer.output_text} ({answer.status}, {usage}; {len(events)} events to {events[-1]})"


def tools():
    messages = [{"role": "user", "content": checks.TOOL_QUESTION}]
    choice = create(messages=messages, tools=[checks.TOOL]).choices[0]
    expect(choice.finish_reason == "tool_calls", f"it ended with {choice.finish_reason}")
    call = choice.message.tool_calls[0]
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": checks.TOOL_RESULT}]
    answer = create(messages=messages, tools=[checks.TOOL])
    return f"{call.function.name} {call.function.arguments}, then: {answer.choices[0].message.content}"


def schema():
    form = {"type": "json_schema", "json_schema": {"name": "sky", "schema": checks.SCHEMA}}
    return create(response_format=form).choices[0].message.content


def thinking():
    message = create(reasoning_effort="medium").choices[0].message
    expect(message.content, "no answer came after the thinking")
    return message.reasoning


def images():
    parts = [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{checks.PNG}"}},
    ]
    answer = create(messages=[{"role": "user", "content": parts}])
    return end(answer.choices[0].finish_reason, answer.usage)


def embed():
    answer = client.embeddings.create(model=EMBEDDER, input=checks.SENTENCES)
    return f"{checks.vectors([one.embedding for one in answer.data])}, {answer.usage.prompt_tokens} tokens"


def cancel():
    chunks = create(stream=True)
    text = "".join(next(chunks).choices[0].delta.content for _ in range(2))
    chunks.close()
    return f"left after: {text}"


def unknown_model():
    return checks.raised(lambda: create(model="nobody:1b"))


def midstream_error():
    seen = []

    def read():
        for chunk in create(stream=True):
            seen.append(chunk)
        return f"the end without a reason: {seen[-1].choices[0].finish_reason}"

    return f"{checks.raised(read)} (after {len(seen)} chunks)"


def queue_full():
    return checks.raised(create)


checks.run(
    "openai",
    {
        "list": list_models,
        "show": show,
        "chat": chat,
        "stream": stream,
        "generate": generate,
        "responses": responses,
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
