// A client that others made, the protocol's TypeScript SDK: starts a server, lists its tools, calls some.
// node drive.mjs '{"command": "...", "args": [...]}' '[["tool", {"argument": 1}], ...]'
import {Client} from "@modelcontextprotocol/sdk/client/index.js";
import {StdioClientTransport} from "@modelcontextprotocol/sdk/client/stdio.js";
import {StreamableHTTPClientTransport} from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [where, calls] = process.argv.slice(2).map((text) => JSON.parse(text));
const client = new Client({name: "drive", version: "1.0.0"});
await client.connect(where.url
    ? new StreamableHTTPClientTransport(new URL(where.url), {requestInit: {headers: where.headers ?? {}}})
    : new StdioClientTransport(where));
const {tools} = await client.listTools();
const results = [];
for (const [name, args] of calls) {
    const progress = [];
    const result = await client.callTool({name, arguments: args}, undefined, {onprogress: (news) => progress.push(news)});
    results.push({...result, progress});
}
await client.close();
console.log(JSON.stringify({server: client.getServerVersion(), tools: tools.map(({name, annotations}) => ({name, annotations})), results}));
