import assert from "node:assert/strict";
import { test } from "node:test";
import { hasDefinitions, htmlOf, lex, openFence, split } from "../../src/portal/interfaces/web/static/markdown/blocks.js";
import { section, slug } from "../../src/portal/interfaces/web/static/markdown/section.js";

const html = (text) => htmlOf(lex(text));
const TEXT = `# Title

A paragraph with **bold** and \`code\`.

- one
- two

  still two

\`\`\`python
x = "$not$ math"

y = 2
\`\`\`

| a | b |
|---|---|
| 1 | 2 |

$$
e = mc^2
$$

> quoted
> twice

Last words.
`;

/** What a view draws while a text grows by `step` characters: settled parts once, the rest at the end. */
function streamed(text, step) {
  let settled = 0;
  let drawn = "";
  let cost = 0;
  for (let end = step; ; end += step) {
    const part = split(text.slice(settled, Math.min(end, text.length)));
    cost += Math.min(end, text.length) - settled;
    drawn += htmlOf(part.settled);
    settled += part.length;
    if (end >= text.length) return { drawn: drawn + html(text.slice(settled)), cost };
  }
}

test("a text drawn as it grows is the text drawn at once", () => {
  for (const step of [1, 3, 7, 50]) assert.equal(streamed(TEXT, step).drawn, html(TEXT), `by ${step}`);
});

test("the cost of growing is linear in the length", () => {
  const short = streamed(TEXT.repeat(4), 5).cost;
  const long = streamed(TEXT.repeat(40), 5).cost;
  assert.ok(long < 10.5 * short, `${long} against ${short}`);
});

test("math is math and money is money", () => {
  assert.match(html("so $x^2$ is"), /data-tex="x\^2"/);
  assert.match(html("so \\(y\\) is"), /data-tex="y"/);
  assert.match(html("\\[ z \\]"), /is-display" data-tex="z"/);
  assert.match(html("a $$w$$ b"), /is-display" data-tex="w"/);
  assert.doesNotMatch(html("from $5 to $10"), /data-tex/);
  assert.doesNotMatch(html("`$x$`"), /data-tex/);
  assert.doesNotMatch(html("$ spaced $"), /data-tex/);
});

test("raw HTML is shown, not used, but for a few plain tags", () => {
  assert.match(html("<script>alert(1)</script>"), /&#60;script&#62;/);
  assert.match(html("H<sub>2</sub>O"), /H<sub>2<\/sub>O/);
  assert.match(html('<b onclick="x">b'), /&#60;b onclick/);
  assert.match(html("`<img>`"), /&lt;img&gt;/);
});

test("an open fence is known by its marker, language and start", () => {
  const growing = (text) => openFence(split(text).growing);
  assert.deepEqual(growing("```js\nlet a"), { marker: "```", language: "js", start: 6 });
  assert.deepEqual(growing("~~~~\nx\n~~~\n"), { marker: "~~~~", language: "", start: 5 });
  assert.equal(growing("```js\nlet a\n```"), null);
  assert.equal(growing("```js"), null);
  assert.equal(growing("    indented"), null);
});

test("a definition anywhere may change what is above", () => {
  assert.ok(hasDefinitions("a\n\n[x]: https://example.com"));
  assert.ok(!hasDefinitions("an array[x]: no"));
});

test("a section is its heading and what is under it", () => {
  const page = "# Page\n\nIntro\n\n## First part\n\nText\n\n### Detail\n\nMore\n\n```\n## not a heading\n```\n\n## Second\n\nEnd";
  assert.equal(slug("The `disk` is full, isn't it?"), "the-disk-is-full-isn-t-it");
  assert.match(section(page, "first-part"), /^## First part[\s\S]*not a heading\n```$/);
  assert.equal(section(page, "detail").split("\n")[0], "### Detail");
  assert.equal(section(page, "nowhere"), page);
});
