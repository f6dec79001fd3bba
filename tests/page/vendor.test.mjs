import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { target, vendored } from "./vendor.mjs";

test("the vendored libraries are the pinned ones, unchanged", async () => {
  for (const [name, bytes] of await vendored()) {
    assert.ok(bytes.equals(await readFile(join(target, name))), `${name} differs: run npm run vendor`);
  }
});
