// A real inference engine behind a small server with OpenAI's API, for tests:  node server.mjs MODEL.gguf [--plain]
// Prints the port it listens on. One answer at a time, at the temperature asked for. Plain, it knows no tools and says so.
import {createServer} from "node:http";
import {basename} from "node:path";
import {getLlama, LlamaGrammarEvaluationState, LlamaLogLevel} from "node-llama-cpp";

const path = process.argv[2], plain = process.argv.includes("--plain");
const id = basename(path, ".gguf");
const told = plain ? {type: "llm", capabilities: []} : {};
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.disabled});
const model = await llama.loadModel({modelPath: path});
const context = await model.createContext({contextSize: 1024, threads: 1});
const sequence = context.getSequence();

const mark = (role, text) => `<|im_start|>${role}\n${text}<|im_end|>\n`;

// What the template in the file does.
function prompt(messages, tools) {
    const system = messages[0]?.role === "system" ? messages[0].content : "";
    const rest = system ? messages.slice(1) : messages;
    const offered = (tools ?? []).map(({function: f}) =>
        `${f.name}(${Object.keys(f.parameters?.properties ?? {}).join(", ")})\n`);
    const list = offered.length ? `\n<tools>\n${offered.join("")}</tools>` : "";
    const head = system || list ? mark("system", system + list) : "";
    return head + rest.map((m) => mark(m.role, (m.content ?? "") + calls(m))).join("") + "<|im_start|>assistant\n";
}

function calls(message) {
    return (message.tool_calls ?? []).map(({function: f}) =>
        `<tool_call>\n{"name": "${f.name}", "arguments": ${f.arguments}}\n</tool_call>`).join("");
}

// Of OpenAI's schema: this engine calls `anyOf` `oneOf`, and holds to it just so.
async function held(schema) {
    const text = JSON.stringify(schema).replaceAll('"anyOf":', '"oneOf":');
    return new LlamaGrammarEvaluationState({model, grammar: await llama.createGrammarForJsonSchema(JSON.parse(text))});
}

async function* pieces(body, tokens, gone) {
    await sequence.clearHistory();
    let count = 0;
    const schema = body.response_format?.json_schema?.schema;
    const grammarEvaluationState = schema && await held(schema);
    const options = {temperature: body.temperature ?? 0, seed: body.seed, grammarEvaluationState};
    for await (const token of sequence.evaluate(tokens, options)) {
        if (model.isEogToken(token) || gone())
            return;
        yield model.detokenize([token], true);
        if (++count >= (body.max_tokens ?? body.max_completion_tokens ?? 1024 - tokens.length - 1)) {
            yield null;
            return;
        }
    }
}

function call(text) {
    const found = /^<tool_call>\s*(.*?)\s*<\/tool_call>$/s.exec(text.trim());
    if (!found)
        return null;
    const {name, arguments: given} = JSON.parse(found[1]);
    return {index: 0, id: `call_${Date.now()}`, type: "function", function: {name, arguments: JSON.stringify(given)}};
}

async function answer(body, response) {
    const tokens = model.tokenize(prompt(body.messages, body.tools), true);
    const head = {id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: id};
    const send = (rest) => response.write(`data: ${JSON.stringify({...head, ...rest})}\n\n`);
    const choice = (delta, reason = null) => send({choices: [{index: 0, delta, finish_reason: reason}]});
    let gone = false;
    response.on("close", () => { gone = true; });
    response.writeHead(200, {"content-type": "text/event-stream"});
    choice({role: "assistant", content: ""});
    let text = "", reason = "stop", count = 0;
    for await (const piece of pieces(body, tokens, () => gone)) {
        if (piece === null) {
            reason = "length";
            break;
        }
        count += 1;
        text += piece;
        if (!body.tools)
            choice({content: piece});
    }
    const called = body.tools ? call(text) : null;
    if (called)
        choice({tool_calls: [called]});
    else if (body.tools)
        choice({content: text});
    choice({}, called ? "tool_calls" : reason);
    send({choices: [], usage: {prompt_tokens: tokens.length, completion_tokens: count, total_tokens: tokens.length + count}});
    response.end("data: [DONE]\n\n");
}

let turn = Promise.resolve();

const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request)
        chunks.push(chunk);
    const json = (status, content) => response.writeHead(status, {"content-type": "application/json"}).end(JSON.stringify(content));
    if (request.url === "/v1/models")
        return json(200, {object: "list", data: [{id, object: "model", created: 0, owned_by: "tests", context_length: 1024, ...told}]});
    if (request.url !== "/v1/chat/completions")
        return json(404, {error: {message: `no ${request.url}`, type: "invalid_request_error"}});
    const body = JSON.parse(Buffer.concat(chunks));
    if (body.model !== id)
        return json(404, {error: {message: `no model ${body.model}`, code: "model_not_found"}});
    if (plain && body.tools)
        return json(400, {error: {message: "this server knows no tools", type: "invalid_request_error"}});
    turn = turn.then(() => answer(body, response)).catch((error) => response.destroy(error));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
