// Lets Node load the page's modules: bare names mean what index.html's import map says.
import { register } from "node:module";
import { readFileSync } from "node:fs";

const page = new URL("../../src/portal/interfaces/web/static/", import.meta.url);
const map = JSON.parse(readFileSync(new URL("index.html", page), "utf8").match(/<script type="importmap">([\s\S]*?)<\/script>/)?.[1] ?? "{}");
const names = Object.fromEntries(Object.entries(map.imports).map(([name, path]) => [name, new URL(path.replace("/static/", ""), page).href]));
register(`data:text/javascript,${encodeURIComponent(`
  const names = ${JSON.stringify(names)};
  const page = ${JSON.stringify(page.href)};
  export const resolve = (name, context, next) => next(names[name] ?? name, context);
  export const load = (url, context, next) => next(url, url.startsWith(page) ? { ...context, format: "module" } : context);
`)}`, import.meta.url);
