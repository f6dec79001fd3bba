// Runs the protocol's suite of conformance on Node 20 as well: it imports fs.globSync, which came with Node 22, for a
// command that is not used here.
import {register} from "node:module";

const hooks = `
export function resolve(name, context, next) {
    if (name !== "fs" || !context.parentURL?.includes("/conformance/")) return next(name, context);
    const source = 'export * from "node:fs"; export {default} from "node:fs"; export const globSync = () => [];';
    return {url: "data:text/javascript," + encodeURIComponent(source), shortCircuit: true};
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
await import("./node_modules/@modelcontextprotocol/conformance/dist/index.js");
