import assert from "node:assert/strict";
import { test } from "node:test";
import { preloaded } from "./preload.mjs";

test("index.html names every module of the first load, so that they come at once", async () => {
  const { html, wanted } = await preloaded();
  assert.equal(html, wanted, "run npm run preload in tests/page");
});
