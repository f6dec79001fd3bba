import assert from "node:assert/strict";
import { test } from "node:test";
import { citedSources, withMarks } from "../../src/portal/interfaces/web/static/markdown/citations.js";
import { chosenFiles, walk } from "../../src/portal/interfaces/web/static/knowledge/dropped.js";
import { flow, stretches } from "../../src/portal/interfaces/web/static/knowledge/flow.js";
import { excerpt, marked } from "../../src/portal/interfaces/web/static/knowledge/marks.js";
import { documentPath } from "../../src/portal/interfaces/web/static/knowledge/paths.js";
import { annotationsOf } from "../../src/portal/interfaces/web/static/turns.js";

const show = (pieces) => pieces.map(({ text, hit }) => (hit ? `[${text}]` : text)).join("");

test("words are marked in all their forms, and parts of others are not", () => {
  assert.equal(show(marked("The door codes: coded, encode.", "code")), "The door [codes]: [coded], encode.");
  assert.equal(show(marked("Doors and indoor heating heats.", "door heating")), "[Doors] and indoor [heating] [heats].");
  assert.equal(show(marked("Room 12, not 123.", "12")), "Room [12], not 123.");
  assert.equal(show(marked("an apple on it", "on it")), "an apple [on] [it]");
  assert.equal(show(marked("Über Straßen", "straße")), "Über [Straßen]");
  assert.equal(show(marked("全文検索は速い", "検索")), "全文[検索]は速い");
  assert.equal(show(marked("a (b) [c] *", "(b) [ * .")), "a (b) [c] *".replace("b", "[b]"));
  assert.equal(show(marked("nothing to look for", "?!")), "nothing to look for");
});

test("an excerpt is where the words are", () => {
  const text = `${"Lorem ipsum dolor. ".repeat(60)}Here the heating is set. ${"More of it. ".repeat(60)}`;
  const found = show(excerpt(text, "heating", 120));
  assert.match(found, /^….*\[heating\] is set\..*…$/);
  assert.ok(found.length < 130);
  assert.equal(show(excerpt("## Doors\n\nThe door", "door")), "[Doors] The [door]");
  assert.equal(show(excerpt("Plain text. ".repeat(50), "absent", 60)).slice(0, 11), "Plain text.");
});

const passage = (id, text, start, more = {}) => ({ id, position: 0, text, heading: [], page: null, start, end: start + [...text].length, ...more });

test("passages read as one text, what they share is said once, the cited one stays whole", () => {
  const three = [passage("a", "One two three", 0), passage("b", "three four", 8), passage("c", "five", 20)];
  assert.deepEqual(flow(three, null).map((block) => block.text), ["One two three", "four", "five"]);
  assert.deepEqual(flow(three, "b").map((block) => block.text), ["One two", "three four", "five"]);
  assert.deepEqual(flow([passage("a", "three", 0), passage("b", "three four", 0)], "b").map((block) => [block.id, block.cited]), [["b", true]]);
  assert.deepEqual(flow([passage("a", "three", 0), passage("b", "three", 0)], null).map((block) => block.id), ["a"]);
});

test("headings and pages are told where they change", () => {
  const blocks = flow([
    passage("a", "x", 0, { heading: ["Book", "One"], page: 1 }),
    passage("b", "y", 5, { heading: ["Book", "One"], page: 1 }),
    passage("c", "z", 9, { heading: ["Book", "Two"], page: 2 }),
  ], null);
  assert.deepEqual(blocks.map(({ headings, page }) => [headings, page]), [[["Book", "One"], 1], [[], null], [["Two"], 2]]);
});

test("headings that a text still writes in Markdown's way are headings", () => {
  assert.deepEqual(stretches("## Doors\n\nCode 4821\n\n### Back\nNone"), [
    { text: "Doors", heading: true }, { text: "Code 4821", heading: false }, { text: "Back", heading: true }, { text: "None", heading: false },
  ]);
  assert.deepEqual(stretches("#hash"), [{ text: "#hash", heading: false }]);
});

test("full lines of one sentence are one line again, others stay", () => {
  const full = "The heating is set to 20 degrees from October until the end of";
  assert.equal(stretches(`${full}\nApril.`)[0].text, `${full}\nApril.`);
  assert.equal(stretches(`${full}\nthat month.`)[0].text, `${full} that month.`);
  assert.equal(stretches("short\nlines stay")[0].text, "short\nlines stay");
  assert.equal(stretches(`${full}\n  indented`)[0].text, `${full}\n  indented`);
});

test("where a document is read", () => {
  assert.equal(documentPath({ file_id: "file_1" }), "/documents/file_1");
  assert.equal(documentPath({ file_id: "a/b", collection: "vs_1" }, "chunk_2"), "/documents/a%2Fb?collection=vs_1#chunk_2");
});

const note = (index, number, more = {}) => ({ type: "file_citation", index, file_id: `file_${number}`, filename: `${number}.pdf`, "portal:number": number, "portal:passage_id": `chunk_${number}`, ...more });
const marks = (text, notes) => withMarks(text, notes).replace(/\ue000(\d+)\ue001/g, "<$1>");

test("numbers in brackets become links where the annotations stand", () => {
  assert.equal(marks("Yes [1]. No [2, 3]!", [note(4, 1), note(12, 2), note(12, 3)]), "Yes <1>. No <2><3>!");
  assert.equal(marks("🚪 code [1].", [note(7, 1)]), "🚪 code <1>.");
  assert.equal(marks("Said again. Next.", [note(11, 2)]), "Said again.<2> Next.");
  assert.equal(marks("【1†source】 here", [note(0, 1)]), "<1> here");
  assert.equal(marks("Beyond", [note(99, 1)]), "Beyond");
  assert.equal(marks("Own \ue0007\ue001 marks", []), "Own 7 marks");
  assert.equal(marks("[1] of none, [9] neither", []), "[1] of none, [9] neither");
});

test("each source is listed once, by its number", () => {
  const found = citedSources([note(9, 2, { "portal:page": 3 }), note(1, 1), note(20, 2), { type: "url_citation", url: "/manual/a" }]);
  assert.deepEqual(found.map(({ number, page }) => [number, page]), [[1, null], [2, 3]]);
  assert.deepEqual(citedSources([{ type: "file_citation", index: 0, file_id: "f", filename: "f.txt" }]).map(({ number, passage }) => [number, passage]), [[1, ""]]);
});

test("places of annotations count from the beginning of all parts", () => {
  const item = { type: "message", content: [{ type: "output_text", text: "🚪a", annotations: [note(1, 1)] }, { type: "output_text", text: "b[2]", annotations: [note(1, 2), { type: "url_citation", url: "x" }] }] };
  assert.deepEqual(annotationsOf(item).map((each) => each.index), [1, 3, undefined]);
  assert.deepEqual(annotationsOf({ type: "message", content: "plain" }), []);
});

const file = (fullPath) => ({ name: fullPath.split("/").at(-1), fullPath, isDirectory: false, file: (done) => done(new File(["x"], fullPath.split("/").at(-1))) });
const folder = (fullPath, pages) => ({ name: fullPath.split("/").at(-1), fullPath, isDirectory: true, createReader: () => ({ readEntries: (done) => done(pages.shift() ?? []) }) });

test("folders are opened whole, by the hundred, without what programs leave there", async () => {
  const tree = folder("/papers", [[file("/papers/b.txt"), folder("/papers/sub", [[file("/papers/sub/c.txt")]])], [file("/papers/a.txt"), file("/papers/.DS_Store"), folder("/papers/node_modules", [])]]);
  const { given, left } = await walk([tree, new File(["x"], "alone.txt"), { ...file("/gone.txt"), file: (_done, failed) => failed() }]);
  assert.deepEqual(given.map((each) => `${each.path}:${each.file.name}`), ["papers:a.txt", "papers:b.txt", "papers/sub:c.txt", ":alone.txt"]);
  assert.equal(left, 3);
});

test("files of a field know their folder", () => {
  const of = (name, path) => Object.defineProperty(new File(["x"], name), "webkitRelativePath", { value: path });
  const { given, left } = chosenFiles([of("a.txt", "papers/sub/a.txt"), of("b.txt", "papers/.git/b.txt"), of("c.txt", "")]);
  assert.deepEqual(given.map((each) => each.path), ["papers/sub", ""]);
  assert.equal(left, 1);
});
