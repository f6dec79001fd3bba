import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const page = new URL("../../src/portal/interfaces/web/static/", import.meta.url);
const { qrcode } = await import(new URL("settings/qrcode.js", page));

/** Digests of codes that a reader (jsQR) has read back. */
const READ = {
  a: "bf35b1e154e92eb4",
  "http://192.168.1.20:8081/sign-in?token=Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8Zq8": "b60a287dd5cb8ddf",
  "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü": "fb03e0179bd98152",
};

test("QR codes are those that were read back by a reader", () => {
  for (const [text, digest] of Object.entries(READ)) {
    const rows = qrcode(text).map((row) => row.map(Number).join("")).join("\n");
    assert.equal(createHash("sha256").update(rows).digest("hex").slice(0, 16), digest, text);
  }
  assert.equal(qrcode("x".repeat(135)), null);
});

test("the service worker knows every way to the API", async () => {
  const worker = await readFile(new URL("sw.js", page), "utf8");
  const isView = new Function(`${worker.match(/const isView = .*/)[0]}; return isView;`)();
  for (const path of ["/v1/models", "/portal/v1/me", "/api/chat", "/health", "/sign-in", "/artefact", "/openapi.json"]) assert.ok(!isView(path), path);
  for (const path of ["/", "/c/conv_1", "/settings/keys", "/manual/api", "/models"]) assert.ok(isView(path), path);
});
