// npm `openai`.

import OpenAI from "openai";

import * as checks from "./checks.js";
import { EMBEDDER, MODEL, QUESTION, all, expect } from "./checks.js";

const client = new OpenAI({ baseURL: `${checks.URL}/v1`, apiKey: "none", maxRetries: 0 });
const asked = [{ role: "user", content: QUESTION }];

const chat = (fields = {}) => client.chat.completions.create({ model: MODEL, messages: asked, ...fields });

const end = (reason, usage) => `${reason}, ${checks.tokens(usage.prompt_tokens, usage.completion_tokens)}`;

await checks.run("openai", {
  list: async () => (await all(await client.models.list())).map((model) => model.id).join(", "),

  show: async () => {
    const model = await client.models.retrieve(MODEL);
    return `${model.id} of ${model.owned_by}`;
  },

  chat: async () => {
    const answer = await chat();
    const [choice] = answer.choices;
    return `${choice.message.content} (${end(choice.finish_reason, answer.usage)})`;
  },

  stream: async () => {
    const chunks = await all(await chat({ stream: true, stream_options: { include_usage: true } }));
    const choices = chunks.flatMap((chunk) => chunk.choices);
    const text = choices.map((choice) => choice.delta.content ?? "").join("");
    return `${chunks.length} chunks: ${text} (${end(choices.at(-1).finish_reason, chunks.at(-1).usage)})`;
  },

  generate: async () => {
    const request = { model: MODEL, prompt: QUESTION };
    const answer = await client.completions.create(request);
    const [choice] = answer.choices;
    const chunks = await all(await client.completions.create({ ...request, stream: true }));
    const text = chunks.map((chunk) => chunk.choices[0].text).join("");
    expect(text === choice.text, `streamed it is another: ${text}`);
    return `${choice.text} (${end(choice.finish_reason, answer.usage)}; ${chunks.length} chunks)`;
  },

  responses: async () => {
    const request = { model: MODEL, input: QUESTION };
    const answer = await client.responses.create(request);
    const events = (await all(await client.responses.create({ ...request, stream: true }))).map((event) => event.type);
    const usage = checks.tokens(answer.usage.input_tokens, answer.usage.output_tokens);
    return `${answer.output_text} (${answer.status}, ${usage}; ${events.length} events to ${events.at(-1)})`;
  },

  tools: async () => {
    const messages = [{ role: "user", content: checks.TOOL_QUESTION }];
    const [choice] = (await chat({ messages, tools: [checks.TOOL] })).choices;
    expect(choice.finish_reason === "tool_calls", `it ended with ${choice.finish_reason}`);
    const [call] = choice.message.tool_calls;
    messages.push(choice.message, { role: "tool", tool_call_id: call.id, content: checks.TOOL_RESULT });
    const answer = await chat({ messages, tools: [checks.TOOL] });
    return `${call.function.name} ${call.function.arguments}, then: ${answer.choices[0].message.content}`;
  },

  schema: async () => {
    const form = { type: "json_schema", json_schema: { name: "sky", schema: checks.SCHEMA } };
    return (await chat({ response_format: form })).choices[0].message.content;
  },

  thinking: async () => {
    const { message } = (await chat({ reasoning_effort: "medium" })).choices[0];
    expect(message.content, "no answer came after the thinking");
    return message.reasoning;
  },

  images: async () => {
    const parts = [
      { type: "text", text: QUESTION },
      { type: "image_url", image_url: { url: `data:image/png;base64,${checks.PNG}` } },
    ];
    const answer = await chat({ messages: [{ role: "user", content: parts }] });
    return end(answer.choices[0].finish_reason, answer.usage);
  },

  embed: async () => {
    const answer = await client.embeddings.create({ model: EMBEDDER, input: checks.SENTENCES });
    return `${checks.vectors(answer.data.map((one) => one.embedding))}, ${answer.usage.prompt_tokens} tokens`;
  },

  cancel: async () => {
    const stream = await chat({ stream: true });
    let text = "";
    let read = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0].delta.content;
      read += 1;
      if (read === 2) break;
    }
    return `left after: ${text}`;
  },

  "unknown-model": () => checks.thrown(() => chat({ model: "nobody:1b" })),

  "midstream-error": async () => {
    let read = 0;
    let last;
    const error = await checks.thrown(async () => {
      for await (const chunk of await chat({ stream: true })) {
        read += 1;
        last = chunk.choices[0].finish_reason;
      }
      return `the end without a reason: ${last}`;
    });
    return `${error} (after ${read} chunks)`;
  },

  "queue-full": () => checks.thrown(() => chat()),
});
