import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../src/portal/interfaces/web/static/", import.meta.url);
const { catchUp, openChat, turns } = await import(new URL("state/chat.js", page));

const view = (id) => ({
  response: { id, status: "completed", model: "tiny", output: [], created_at: 1 },
  input: [], siblings: [id], route: null, feedback: 0, last_seq: 1, ms: 1, estimated_usage: false,
});
const shown = () => turns.value.map((turn) => turn.value.id);
const soon = () => new Promise((resolve) => setTimeout(resolve));

/** A server with one conversation; an answer that lists turns is as of its question, and waits until it is let go. */
function serve() {
  const server = { stored: ["a"], waiting: [], reads: 0, async letGo(status = 200) { server.waiting.shift()(status); await soon(); } };
  globalThis.fetch = async (url) => {
    if (!url.includes("/turns")) return Response.json({ id: "conv", title: "", model: null, folder_id: null });
    server.reads += 1;
    const body = { data: server.stored.map(view), next: null };
    const status = await new Promise((resolve) => server.waiting.push(resolve));
    return Response.json(status === 200 ? body : { error: { message: "no", code: "busy" } }, { status });
  };
  return server;
}

async function opened(id) {
  const server = serve();
  const opening = openChat(id);
  await soon();
  await server.letGo();
  await opening;
  server.reads = 0;
  return server;
}

test("however many ask at once, the newest turns are read twice, and the last change is seen", async () => {
  const server = await opened("one");
  const asked = [];
  for (const id of ["b", "c", "d", "e", "f"]) {
    server.stored.push(id);
    asked.push(catchUp(true));
    await soon();
  }
  await server.letGo();
  assert.deepEqual(shown(), ["a", "b"]);
  while (server.waiting.length) await server.letGo();
  await Promise.all(asked);
  assert.deepEqual(shown(), ["a", "b", "c", "d", "e", "f"]);
  assert.equal(server.reads, 2);
  const later = catchUp();
  await soon();
  await server.letGo();
  await later;
  assert.equal(server.reads, 3);
});

test("whoever asks while a reading fails has one of their own", async () => {
  const server = await opened("two");
  const [first, second] = [catchUp(), catchUp()];
  await soon();
  const failed = assert.rejects(first, { code: "busy" });
  server.stored.push("b");
  await server.letGo(503);
  await server.letGo();
  await Promise.all([failed, second]);
  assert.deepEqual(shown(), ["a", "b"]);
});

test("a reading that hangs holds up no other conversation", async () => {
  const hanging = await opened("three");
  const before = catchUp();
  await soon();
  const server = await opened("four");
  const other = catchUp();
  await soon();
  await server.letGo();
  await other;
  await hanging.letGo();
  await before;
  assert.deepEqual([hanging.reads, server.reads, shown()], [1, 1, ["a"]]);
});
