// Copies the pinned libraries from node_modules into the page: `npm ci && npm run vendor` in this folder.
// The page ships these files; node_modules is never part of Portal. vendor.test.mjs compares the two.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
export const target = join(here, "../../src/portal/interfaces/web/static/vendor");

/** [package, file in it, name in vendor/, what is appended to make it an ES module] */
const FILES = [
  ["preact", "dist/preact.mjs", "preact.js"],
  ["preact", "hooks/dist/hooks.mjs", "preact-hooks.js"],
  ["htm", "dist/htm.mjs", "htm.js"],
  ["htm", "preact/index.mjs", "htm-preact.js"],
  ["@preact/signals-core", "dist/signals-core.mjs", "signals-core.js"],
  ["@preact/signals", "dist/signals.mjs", "signals.js"],
  ["marked", "lib/marked.esm.js", "marked.js"],
  ["dompurify", "dist/purify.min.js", "purify.js", "\nexport default globalThis.DOMPurify;\n"],
  ["@highlightjs/cdn-assets", "es/highlight.min.js", "highlight.js"],
  ["temml", "dist/temml.min.js", "temml.js", "\nexport default temml;\n"],
  ["temml", "dist/Temml-Local.css", "temml.css"],
  ["temml", "dist/Temml.woff2", "Temml.woff2"],
  ["@mermaid-js/tiny", "dist/mermaid.tiny.js", "mermaid.js"],
];

const packageFile = (name, file) => join(here, "node_modules", name, file);

/** The vendored files as they should be: a map from file name to its bytes. */
export async function vendored() {
  const files = new Map();
  for (const [name, file, as, suffix = ""] of FILES) {
    const bytes = await readFile(packageFile(name, file));
    if (as.endsWith(".woff2")) files.set(as, bytes);
    else files.set(as, Buffer.from(bytes.toString("utf8").replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n") + suffix));
  }
  const names = [...new Set(FILES.map(([name]) => name))];
  let versions = "Vendored unchanged from npm (source map comments removed; purify.js and temml.js also get their export lines).\n\n";
  for (const name of names) {
    const about = JSON.parse(await readFile(packageFile(name, "package.json"), "utf8"));
    versions += `${name} ${about.version} (${about.license})\n`;
    const licence = name === "@preact/signals-core" ? "@preact/signals" : name;
    files.set(`licences/${name.replace("@", "").replace("/", "-")}.txt`, await readFile(packageFile(licence, "LICENSE")));
  }
  files.set("VERSIONS", Buffer.from(versions));
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, bytes] of await vendored()) {
    await mkdir(dirname(join(target, name)), { recursive: true });
    await writeFile(join(target, name), bytes);
  }
}
