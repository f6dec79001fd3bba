import assert from "node:assert/strict";
import { test } from "node:test";
import { events, payload, split } from "../../src/portal/interfaces/web/static/sse.js";

/** @param {string} text @param {number} size */
function streamed(text, size) {
  const bytes = new TextEncoder().encode(text);
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
}

async function all(text, size) {
  const found = [];
  for await (const event of events(streamed(text, size))) found.push(event);
  return found;
}

test("events survive every way of cutting the bytes, inside characters too", async () => {
  const text = 'event: a\ndata: {"text": "grüß 世界 🐦"}\n\n: ping\n\ndata: {"n":\ndata: 2}\n\ndata: [DONE]\n\ndata: {"late": true}\n\n';
  for (let size = 1; size < 40; size += 1) assert.deepEqual(await all(text, size), [{ text: "grüß 世界 🐦" }, { n: 2 }]);
});

test("lines may end with a carriage return", async () => {
  for (let size = 1; size < 9; size += 1) assert.deepEqual(await all("data: 1\r\n\r\ndata: 2\r\n\r\n", size), [1, 2]);
});

test("a stream that is cut gives what was whole", async () => {
  assert.deepEqual(await all('data: 1\n\ndata: {"half', 4), [1]);
});

test("split keeps the unfinished block, payload joins data lines", () => {
  assert.deepEqual(split("a\n\nb\n\nc"), [["a", "b"], "c"]);
  assert.equal(payload("event: x"), null);
  assert.equal(payload("data:a\ndata: b"), "a\nb");
});
