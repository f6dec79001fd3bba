// What a script with npm's `openai` does; prints what it got as JSON.
import OpenAI from "openai";

const [url, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];

async function text(stream, pick) {
  let all = "";
  for await (const event of stream) all += pick(event) ?? "";
  return all;
}

const response = await client.responses.create({ model: "tiny", input: "Hi" });
const streamed = await client.responses.create({
  model: "tiny", input: "More", previous_response_id: response.id, stream: true,
});
const responseStream = await text(streamed, (event) => event.type === "response.output_text.delta" ? event.delta : "");
const chat = await client.chat.completions.create({ model: "tiny", messages });
const chunks = await client.chat.completions.create({ model: "tiny", messages, stream: true });
const chatStream = await text(chunks, (chunk) => chunk.choices[0]?.delta?.content);
const file = await client.files.create({ file: new File(["hello"], "a.txt"), purpose: "user_data" });
const content = await (await client.files.content(file.id)).text();
const vector = await client.embeddings.create({ model: "embedder", input: "Hi" });
const conversation = await client.conversations.create({ items: [{ type: "message", role: "user", content: "Hi" }] });
const items = await client.conversations.items.list(conversation.id);
const models = await client.models.list();
const unknown = await client.chat.completions.create({ model: "tinny", messages }).catch((error) => error.code);

console.log(JSON.stringify({
  response: response.output_text,
  responseStream,
  chat: chat.choices[0].message.content,
  chatStream,
  content,
  dimensions: vector.data[0].embedding.length,
  items: items.data.map((item) => item.content[0].text),
  models: models.data.some((model) => model.id === "auto"),
  unknown,
}));
