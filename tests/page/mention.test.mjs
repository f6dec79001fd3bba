import assert from "node:assert/strict";
import { test } from "node:test";
import { mentionAt, replaced } from "../../src/portal/interfaces/web/static/chat/mention.js";

test("a mention ends at the caret", () => {
  for (const [text, found] of [
    ["@", "@"], ["look at @pla", "@pla"], ["@plain:note", "@plain:note"], ["me@example.org", null], ["@plain:a b", null],
    ["/", "/"], ["/plain:gre", "/plain:gre"], ["either/or", null], ["a /b", null], ["", null], ["line\n@x", "@x"],
  ]) assert.equal(mentionAt(text, text.length), found, text);
  assert.equal(mentionAt("@plain and more", 6), "@plain");
});

test("what is chosen takes its place", () => {
  assert.deepEqual(replaced("see @pl, please", 7, "@pl", "@plain:"), { text: "see @plain:, please", caret: 11 });
});
