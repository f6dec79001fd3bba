// The same calls of each model with npm's `openai`; prints what it got as JSON.
import OpenAI from "openai";

const [url, apiKey, ...models] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];
const got = {};

for (const model of models) {
  const whole = await client.chat.completions.create({ model, messages });
  const stream = client.chat.completions.stream({ model, messages });
  const streamed = await stream.finalChatCompletion();
  const response = await client.responses.create({ model, input: "Hi" });
  got[model] = [whole, streamed].map((made) => [made.choices[0].message.content, made.choices[0].finish_reason]);
  got[model].push([response.output_text, response.status]);
}
console.log(JSON.stringify(got));
