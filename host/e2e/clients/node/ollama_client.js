// npm `ollama`.

import { Ollama } from "ollama";

import * as checks from "./checks.js";
import { EMBEDDER, MODEL, QUESTION, all, expect } from "./checks.js";

const client = new Ollama({ host: checks.URL });
const asked = [{ role: "user", content: QUESTION }];

const chat = (fields = {}) => client.chat({ model: MODEL, messages: asked, ...fields });

function end(last) {
  expect(last.total_duration > 0, "the durations are missing");
  return `${last.done_reason}, ${checks.tokens(last.prompt_eval_count, last.eval_count)}`;
}

await checks.run("ollama", {
  list: async () => (await client.list()).models.map((model) => model.name).join(", "),

  show: async () => {
    const shown = await client.show({ model: MODEL });
    const context = shown.model_info["qwen3.context_length"];
    return `${shown.details.family}, ${shown.capabilities.join(", ")}, ${context} context`;
  },

  chat: async () => {
    const answer = await chat();
    return `${answer.message.content} (${end(answer)})`;
  },

  stream: async () => {
    const chunks = await all(await chat({ stream: true }));
    const text = chunks.map((chunk) => chunk.message.content).join("");
    return `${chunks.length} chunks: ${text} (${end(chunks.at(-1))})`;
  },

  generate: async () => {
    const answer = await client.generate({ model: MODEL, prompt: QUESTION });
    return `${answer.response} (${end(answer)}, ${answer.context.length} of context)`;
  },

  tools: async () => {
    const messages = [{ role: "user", content: checks.TOOL_QUESTION }];
    const called = await chat({ messages, tools: [checks.TOOL] });
    const call = called.message.tool_calls[0].function;
    messages.push(called.message, { role: "tool", tool_name: call.name, content: checks.TOOL_RESULT });
    const answer = await chat({ messages, tools: [checks.TOOL] });
    return `${call.name} ${JSON.stringify(call.arguments)}, then: ${answer.message.content}`;
  },

  schema: async () => (await chat({ format: checks.SCHEMA })).message.content,

  thinking: async () => {
    const { message } = await chat({ think: true });
    expect(message.content, "no answer came after the thinking");
    return message.thinking;
  },

  images: async () => {
    const image = Uint8Array.from(Buffer.from(checks.PNG, "base64"));
    return end(await chat({ messages: [{ role: "user", content: QUESTION, images: [image] }] }));
  },

  embed: async () => {
    const answer = await client.embed({ model: EMBEDDER, input: checks.SENTENCES });
    return `${checks.vectors(answer.embeddings)}, ${answer.prompt_eval_count} tokens`;
  },

  cancel: async () => {
    const stream = await chat({ stream: true });
    let text = "";
    let read = 0;
    const reason = await checks.thrown(async () => {
      for await (const chunk of stream) {
        // What has arrived by then still comes through.
        if (read < 2) text += chunk.message.content;
        read += 1;
        if (read === 2) stream.abort();
      }
    });
    return `left after: ${text}; ${reason}`;
  },

  "unknown-model": () => checks.thrown(() => chat({ model: "nobody:1b" })),

  "midstream-error": async () => {
    let read = 0;
    const error = await checks.thrown(async () => {
      for await (const _chunk of await chat({ stream: true })) read += 1;
    });
    return `${error} (after ${read} chunks)`;
  },

  "queue-full": () => checks.thrown(() => chat()),
});
