// The page's own rules, held: one writer of state, one place that knows addresses, no inline style, no long file.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const page = fileURLToPath(new URL("../../src/portal/interfaces/web/static/", import.meta.url));
const names = (await readdir(page, { recursive: true })).filter((name) => !name.startsWith("vendor"));
const sources = await Promise.all(names.filter((name) => name.endsWith(".js")).map(async (name) => [name, await readFile(page + name, "utf8")]));
const sheets = await Promise.all(names.filter((name) => name.endsWith(".css")).map(async (name) => [name, await readFile(page + name, "utf8")]));

/** @param {RegExp} pattern @param {(name: string) => boolean} allowed */
const offenders = (pattern, allowed) =>
  sources.filter(([name, text]) => !allowed(name) && pattern.test(text)).map(([name]) => name);

test("only state/ writes signals", () => {
  assert.deepEqual(offenders(/(?<!\b(?:event|input|target|current|field|element)[\w.?!]*)\.value\s*(?:=(?![=>])|\+\+|\+=|\?\?=)/, (name) => name.startsWith("state/") || name === "strings.js"), []);
});

test("only api.js and api/ know the server's addresses and fetch", () => {
  assert.deepEqual(offenders(/["'`]\/(?:portal\/)?v1\/|\bfetch\(/, (name) => name === "api.js" || name.startsWith("api/") || name === "sw.js"), []);
});

test("only markdown.js and what it uses make elements from text", () => {
  assert.deepEqual(offenders(/innerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|DOMParser|\beval\(|new Function/, (name) => name === "markdown/code.js"), []);
});

test("nothing carries an inline style: the content security policy would drop it", () => {
  assert.deepEqual(offenders(/\sstyle=["']/, () => false), []);
});

test("no file is longer than 250 lines", () => {
  const long = sources.filter(([name, text]) => !name.startsWith("strings/") && text.split("\n").length > 251);
  assert.deepEqual(long.map(([name]) => name), []);
});

test("only tokens.css names colours", () => {
  const coloured = sheets.filter(([name, text]) => !name.endsWith("tokens.css") && /#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(/i.test(text));
  assert.deepEqual(coloured.map(([name]) => name), []);
});

const words = async (/** @type {"en"|"de"} */ language) => ({
  ...(await import(`../../src/portal/interfaces/web/static/strings/${language}.js`))[language],
  ...(await import(`../../src/portal/interfaces/web/static/strings/${language}-late.js`)).late,
  ...(await import(`../../src/portal/interfaces/web/static/strings/${language}-knowledge.js`)).knowledge,
});

test("what is part of the first load has its words in the first load", async () => {
  const first = (await import("../../src/portal/interfaces/web/static/strings/en.js")).en;
  const late = Object.fromEntries(Object.entries(await words("en")).filter(([key]) => !(key in first)));
  const index = await readFile(page + "index.html", "utf8");
  const early = sources.filter(([name]) => name === "app.js" || (index.includes(`"/static/${name}"`) && !name.startsWith("strings/")));
  const wanted = early.flatMap(([name, text]) => Object.keys(late).filter((key) => text.includes(`"${key}"`)).map((key) => `${name}: ${key}`));
  assert.deepEqual(wanted, []);
});

test("every word that the page asks for is there, and every word is asked for", async () => {
  const en = await words("en");
  const all = sources.filter(([name]) => !name.startsWith("strings/")).map(([, text]) => text).join("\n");
  const unused = Object.keys(en).filter((key) => !all.includes(`"${key}"`) && !all.includes(`${key.slice(0, key.lastIndexOf(".") + 1)}\${`));
  assert.deepEqual(unused, []);
});

test("the second language has every word, with the same blanks to fill", async () => {
  const en = await words("en");
  const de = await words("de");
  const blanks = (entry) => [...new Set(JSON.stringify(entry).match(/\{\w+\}/g) ?? [])].sort();
  const same = new Set(["app.name", "progress.seconds"]);
  const wrong = Object.keys(en).filter((key) => !same.has(key) && (!(key in de) || String(blanks(de[key])) !== String(blanks(en[key]))));
  assert.deepEqual(wrong, []);
  assert.deepEqual(Object.keys(de).filter((key) => !(key in en)), []);
});
