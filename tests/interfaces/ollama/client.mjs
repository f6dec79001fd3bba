// What a script with npm's `ollama` does; prints what it got as JSON.
import { Ollama } from "ollama";

const [host, key, ...models] = process.argv.slice(2);
const anyone = new Ollama({ host });
const client = new Ollama({ host, headers: { Authorization: `Bearer ${key}` } });
const messages = [{ role: "user", content: "hi there" }];

async function all(stream, pick) {
  const made = [];
  for await (const part of stream) made.push(pick(part));
  return made;
}

const out = { chat: {}, streamed: {}, generated: {}, shown: {} };
out.models = (await anyone.list()).models.map((model) => model.name);
out.version = (await anyone.version()).version;
for (const model of models) {
  out.chat[model] = (await anyone.chat({ model, messages })).message.content;
  const parts = await all(await anyone.chat({ model, messages, stream: true }), (part) => part);
  out.streamed[model] = [parts.map((part) => part.message.content).join(""), parts.at(-1).done, parts.at(-1).model];
  out.generated[model] = (await anyone.generate({ model, prompt: "one two" })).response;
  out.shown[model] = (await anyone.show({ model })).capabilities.includes("completion");
}
out.thinking = (await anyone.chat({ model: "gpt", messages, think: true })).message.thinking;
out.calls = (await anyone.chat({ model: "gpt", messages })).message.tool_calls;
out.vectors = (await anyone.embed({ model: "nomic", input: ["a", "b"] })).embeddings.length;
out.vector = (await anyone.embed({ model: "text-embedding", input: "a" })).embeddings.length;
out.running = (await anyone.ps()).models.map((model) => model.name);
out.pulled = (await all(await client.pull({ model: "new", stream: true }), (part) => part.status)).at(-1);
out.copied = (await client.copy({ source: "new", destination: "newer" })).status;
out.created = (await client.create({ model: "made", from: "newer" })).status;
out.pushed = (await client.push({ model: "made" })).status;
out.deleted = (await client.delete({ model: "made" })).status;
out.after = (await anyone.list()).models.map((model) => model.name).filter((name) => name.startsWith("new"));
out.unknown = await anyone.chat({ model: "qwen4:8b", messages }).catch((error) => [error.status_code, error.message]);
out.refused = await anyone.pull({ model: "new" }).catch((error) => error.status_code);
out.broken = await all(await anyone.chat({ model: "gpt", messages, stream: true }), (part) => part).catch((error) => error.message);
const stopped = await anyone.chat({ model: "qwen3:8b", messages, stream: true });
for await (const part of stopped) { out.first = part.message.content; break; }
stopped.abort();
console.log(JSON.stringify(out));
