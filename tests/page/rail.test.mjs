import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../src/portal/interfaces/web/static/", import.meta.url);
const { groupByDay, cutAtHits } = await import(new URL("rail/groups.js", page));
const { near, placeGroups, topOf } = await import(new URL("rail/window.js", page));

const now = new Date(2026, 10, 22, 12);
const at = (...date) => new Date(...date).getTime() / 1000;
const groups = (list, locale = "en-GB") => groupByDay(list, { now, locale, words: { pinned: "Pinned" } });
const entry = (updated_at, pinned = false) => ({ id: String(updated_at), pinned, updated_at });

test("pinned first, then the days of a week, then months, with the year once it is another", () => {
  const list = [
    entry(at(2020, 1, 1), true), entry(at(2026, 10, 22, 11)), entry(at(2026, 10, 22)), entry(at(2026, 10, 21, 23)),
    entry(at(2026, 10, 19)), entry(at(2026, 10, 3)), entry(at(2026, 9, 30)), entry(at(2025, 10, 30)), entry(at(2025, 10, 1)),
  ];
  assert.deepEqual(groups(list).map(({ label, from, to }) => [label, from, to]), [
    ["Pinned", 0, 1], ["Today", 1, 3], ["Yesterday", 3, 4], ["Thursday", 4, 5], ["November", 5, 6], ["October", 6, 7], ["November 2025", 7, 9],
  ]);
  assert.deepEqual(groups(list.slice(1, 4), "de").map(({ label }) => label), ["Heute", "Gestern"]);
});

test("a time in the future, by a clock that runs ahead, is today", () => {
  assert.deepEqual(groups([entry(at(2027, 1, 1))]).map(({ label }) => label), ["Today"]);
});

test("nothing gives no group, and every entry is in exactly one", () => {
  assert.deepEqual(groups([]), []);
  const list = Array.from({ length: 5000 }, (_, index) => entry(at(2026, 10, 22, 11) - index * 40_000));
  let next = 0;
  for (const { from, to } of groups(list)) {
    assert.equal(from, next);
    assert.ok(to > from);
    next = to;
  }
  assert.equal(next, list.length);
});

test("hits are marked whatever the case, and no text is a pattern", () => {
  assert.deepEqual(cutAtHits("The Sky, the sky", "sky"), [
    { text: "The ", hit: false }, { text: "Sky", hit: true }, { text: ", the ", hit: false }, { text: "sky", hit: true },
  ]);
  assert.deepEqual(cutAtHits("a (b* c", "(b*"), [{ text: "a ", hit: false }, { text: "(b*", hit: true }, { text: " c", hit: false }]);
  assert.deepEqual(cutAtHits("text", "  "), [{ text: "text", hit: false }]);
});

test("only the rows near the screen are drawn, however long the list", () => {
  const heights = { row: 36, head: 36 };
  const all = [{ key: "a", label: "A", from: 0, to: 3 }, { key: "b", label: "B", from: 3, to: 100_000 }];
  const { placed, height } = placeGroups(all, heights);
  assert.equal(height, 36 * 100_002);
  assert.equal(topOf(placed, 3, heights), 36 * 5);
  const top = topOf(placed, 50_000, heights);
  assert.equal(near(placed[0], { top, bottom: top + 900 }, heights), null);
  const { first, last, before } = near(placed[1], { top, bottom: top + 900 }, heights);
  assert.ok(first <= 50_000 && last >= 50_025 && last - first < 60);
  assert.equal(placed[1].top + 36 + before, topOf(placed, first, heights));
});
