// Sentences of a growing answer, and who speaks: the pure parts of voice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BEGINS, ENDS, IDLES, hear, newEar } from "../../src/portal/interfaces/web/static/voice/hearing.js";
import { nextSentence, plain } from "../../src/portal/interfaces/web/static/voice/sentences.js";

/** @param {string} text @param {boolean} [done] */
function said(text, done = true) {
  const all = [];
  for (let at = 0, found; (found = nextSentence(text, at, done)); at = found.end) if (found.said) all.push(found.said);
  return all;
}

test("sentences come one by one, an unfinished one not before its end", () => {
  assert.deepEqual(said("One. Two! Is this three? And", false), ["One.", "Two!", "Is this three?"]);
  assert.deepEqual(said("One. Two! Is this three? And"), ["One.", "Two!", "Is this three?", "And"]);
  assert.deepEqual(said("第一。第二。"), ["第一。", "第二。"]);
  assert.deepEqual(said(""), []);
});

test("code is not read, and markdown is words", () => {
  assert.deepEqual(said("Run this:\n\n```sh\nls. -l\n```\nDone."), ["Run this:", "Done."]);
  assert.deepEqual(said("```sh\nls -l", false), []);
  assert.deepEqual(said("```sh\nls -l"), []);
  assert.deepEqual(said("# Head\n- **one** [two](https://x.y/z)\n1. three"), ["Head", "one two", "three"]);
  assert.equal(plain("---"), "");
  assert.equal(plain("see https://a.b/c <br>"), "see");
});

/** @param {[level: number, ms: number][]} stretches @param {number} [bar] */
const heard = (stretches, bar) => told(stretches, bar).filter((event) => event !== "idle");

/** @param {[level: number, ms: number][]} stretches @param {number} [bar] */
function told(stretches, bar) {
  let ear = newEar();
  const events = [];
  for (const [level, ms] of stretches) {
    for (let at = 0; at < ms; at += 60) {
      const { ear: next, event } = hear(ear, level, 60, bar);
      ear = next;
      if (event) events.push(event);
    }
  }
  return events;
}

test("speech begins after a moment and ends after a pause; a knock is none", () => {
  assert.deepEqual(heard([[0.002, 600], [0.1, BEGINS + 60], [0.002, ENDS + 60]]), ["begin", "end"]);
  assert.deepEqual(heard([[0.002, 600], [0.3, 60], [0.002, 2000]]), []);
  assert.deepEqual(heard([[0.1, 600], [0.002, ENDS - 300], [0.1, 600], [0.002, ENDS + 60]]), ["begin", "end"]);
});

test("where nobody speaks that is told again and again, and never in the middle of speech", () => {
  assert.deepEqual(told([[0.002, 2 * IDLES + 120]]), ["idle", "idle"]);
  assert.deepEqual(told([[0.002, IDLES - 120], [0.1, 600], [0.002, ENDS + 60]]), ["begin", "end"]);
  assert.deepEqual(told([[0.1, 600], [0.002, ENDS - 300], [0.1, 2 * IDLES], [0.002, ENDS + 60]]), ["begin", "end"]);
});

test("a noisy room becomes the floor, and an echo needs more", () => {
  assert.deepEqual(heard([[0.011, 6000], [0.02, 1200]]), []);
  assert.deepEqual(heard([[0.002, 600], [0.025, 1200]], 2.5), []);
  assert.deepEqual(heard([[0.002, 600], [0.2, 1200]], 2.5), ["begin"]);
});
