// Keeps index.html's list of modules to fetch at once: all that app.js imports, directly or not. `npm run preload`
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const page = new URL("../../src/portal/interfaces/web/static/", import.meta.url);
const index = new URL("index.html", page);
const MARK = /<!-- preload -->\n[\s\S]*?<!-- \/preload -->/;

/** index.html with the list as it should be. */
export async function preloaded() {
  const html = await readFile(index, "utf8");
  const names = JSON.parse(html.match(/<script type="importmap">([\s\S]*?)<\/script>/)?.[1] ?? "{}").imports;
  const found = new Set();
  async function visit(path) {
    if (found.has(path)) return;
    found.add(path);
    const text = await readFile(new URL(path.replace("/static/", ""), page), "utf8");
    for (const [, name] of text.matchAll(/(?:^|[;}]\s*|\n)(?:import|export)\s*(?:[\w$*{}\s,]*?\bfrom\s*|\{[\w$\s,]*\}\s*from\s*|\*\s*from\s*)?["']([^"']+)["']/g)) {
      await visit(names[name] ?? new URL(name, `http://page${path}`).pathname);
    }
  }
  await visit("/static/app.js");
  const links = [...found].filter((path) => path !== "/static/app.js").map((path) => `<link rel="modulepreload" href="${path}">\n`);
  return { html, wanted: html.replace(MARK, `<!-- preload -->\n${links.join("")}<!-- /preload -->`) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(index, (await preloaded()).wanted);
