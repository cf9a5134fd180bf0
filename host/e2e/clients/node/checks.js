// What every client is asked to do, and how a script says what its client saw: the same as `python/checks.py`, where it
// is explained.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export const URL = (process.argv[2] ?? "http://127.0.0.1:11434").replace(/\/+$/, "");

export const MODEL = "qwen3:4b";
export const EMBEDDER = "nomic-embed-text";
export const QUESTION = "Why is the sky blue?";

export const TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", enum: ["Rome", "Paris"] } },
      required: ["city"],
    },
  },
};
export const TOOL_QUESTION = "Use get_weather for Paris.";
export const TOOL_RESULT = "18 degrees and rain";

// The order of the properties is no accident: a schema must arrive in the order it was written in.
export const SCHEMA = {
  type: "object",
  properties: {
    sure: { type: "boolean" },
    colour: { type: "string", enum: ["grey", "blue"] },
  },
  required: ["sure", "colour"],
};

// One pixel.
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

export const SENTENCES = ["The sea is red.", "The sky is blue."];

export function expect(holds, sentence) {
  if (!holds) throw new Error(sentence);
}

/** What the client throws, which is what a person would read. */
export async function thrown(call) {
  try {
    return `no error, but ${await call()}`;
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
}

export const tokens = (read, written) => `${read} + ${written} tokens`;

/** How many, how long, and how near the first two are to each other. */
export function vectors(embeddings) {
  const [first, second] = embeddings;
  const nearness = first.reduce((sum, number, place) => sum + number * second[place], 0);
  return `${embeddings.length} vectors of ${first.length}, ${nearness.toFixed(3)} near`;
}

/** All that a stream brings. */
export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Answers the checks named on standard input until it ends. `checks` are functions by name. */
export async function run(client, checks) {
  const manifest = readFileSync(`node_modules/${client}/package.json`, "utf8");
  const { version } = JSON.parse(manifest);
  for await (const line of createInterface({ input: process.stdin })) {
    const check = line.trim();
    const answer = { client: `npm ${client}`, version, check };
    try {
      Object.assign(answer, checks[check] ? { ok: true, saw: await checks[check]() } : { ok: null, saw: "" });
    } catch (error) {
      Object.assign(answer, { ok: false, saw: `${error.constructor.name}: ${error.message}` });
    }
    console.log(JSON.stringify(answer));
  }
}
