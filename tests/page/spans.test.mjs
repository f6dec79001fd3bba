// Where the time of a turn went, worked out from its spans.
import assert from "node:assert/strict";
import { test } from "node:test";

const { bar, depths, own, slowest } = await import(new URL("../../src/portal/interfaces/web/static/insight/spans.js", import.meta.url));

const spans = [
  { id: 0, parent: null, kind: "turn", name: "auto", start: 0, ms: 1000 },
  { id: 1, parent: 0, kind: "prepare", name: "page", start: 0, ms: 50 },
  { id: 2, parent: 1, kind: "route", name: "auto", start: 10, ms: 20 },
  { id: 3, parent: 0, kind: "model", name: "tiny", start: 50, ms: 300 },
  { id: 4, parent: 0, kind: "tool", name: "a", start: 350, ms: 600 },
  { id: 5, parent: 0, kind: "tool", name: "b", start: 360, ms: 100 },
  { id: 6, parent: 4, kind: "turn", name: "auto-coding", start: 350, ms: 590 },
];

test("each is as deep as it has spans around it", () => {
  assert.deepEqual(depths(spans), [0, 1, 2, 1, 1, 1, 2]);
  assert.deepEqual(depths([{ ...spans[0], parent: 7 }]), [0]);
});

test("what goes on beside each other counts once", () => {
  assert.deepEqual(own(spans), [50, 30, 20, 300, 10, 100, 590]);
});

test("the slowest is the one that itself took longest", () => {
  assert.deepEqual([slowest(spans).one.name, slowest(spans).ms], ["auto-coding", 590]);
  assert.equal(slowest(spans.slice(0, 6)).one.name, "a");
  assert.equal(slowest(spans.slice(0, 1)).one.kind, "turn");
  assert.equal(slowest([]), null);
});

test("a call that waited its turn for most of its time is slow because of that", () => {
  const model = { id: 1, parent: 0, kind: "model", name: "tiny", start: 0, ms: 900, attributes: { backend: "box", waited_ms: 700 } };
  const found = slowest([{ ...spans[0] }, model]);
  assert.deepEqual([found.one.name, found.ms, found.waited], ["tiny", 700, true]);
  const quick = slowest([{ ...spans[0] }, { ...model, attributes: { backend: "box", waited_ms: 300 } }]);
  assert.deepEqual([quick.ms, quick.waited], [900, false]);
});

test("bars stay within their track and can be seen", () => {
  assert.deepEqual(bar(spans[3], 1000), [5, 30]);
  assert.deepEqual(bar({ ...spans[3], start: 2000 }, 1000), [100, 0]);
  assert.deepEqual(bar({ ...spans[3], start: -5, ms: 0 }, 0), [0, 0.7]);
});
