import assert from "node:assert/strict";
import { test } from "node:test";
import { behind, isPlan, planAt, stepsOf } from "../../src/portal/interfaces/web/static/plans.js";

const change = (id, statuses, more = {}) => ({
  type: "mcp_call", id, server_label: "tasks", name: id === "mcp_1" ? "make_plan" : "update_plan", error: null,
  output: statuses && `${JSON.stringify({ steps: statuses.map((status) => ({ title: "a", needs: [], status })) })}\nNow: step 1.`, ...more,
});
const turn = (key, output, input = []) => {
  const value = { key, output, input };
  return { value, peek: () => value };
};
const decided = [{ type: "mcp_approval_response" }];

test("a change of a plan is told from other calls", () => {
  assert.ok(isPlan(change("mcp_1", ["open"])));
  assert.ok(!isPlan(change("mcp_1", null, { error: "no" })));
  assert.ok(!isPlan(change("mcp_1", null, { server_label: "theirs" })));
  assert.ok(!isPlan(change("mcp_1", null, { name: "ask_workspace" })));
  assert.ok(!isPlan(undefined));
});

test("steps are read once they are there", () => {
  assert.equal(stepsOf(change("mcp_1", null)), null);
  assert.equal(stepsOf(change("mcp_1", null, { output: "nothing" })), null);
  assert.equal(stepsOf(change("mcp_1", null, { output: '{"steps": []}' })), null);
  assert.equal(behind(stepsOf(change("mcp_1", ["done", "skipped", "failed", "doing", "open"])) ?? []), 2);
});

test("an answer has one plan, as it is now, where it began", () => {
  const list = [
    turn("a", [change("mcp_1", ["doing", "open"]), undefined, change("mcp_2", ["done", "doing"])]),
    turn("b", [change("mcp_3", ["done", "done"]), change("mcp_4", null)], decided),
  ];
  const card = planAt(list, "a", "mcp_1");
  assert.deepEqual(card?.steps.map((step) => step.status), ["done", "done"]);
  assert.equal(card?.newest.key, "b");
  assert.ok(card?.live);
  assert.equal(planAt(list, "a", "mcp_2"), null);
  assert.equal(planAt(list, "b", "mcp_3"), null);
});

test("the next question begins another one", () => {
  const list = [turn("a", [change("mcp_1", ["doing", "open"])]), turn("b", [change("mcp_2", ["done", "doing"])])];
  assert.deepEqual(planAt(list, "a", "mcp_1")?.steps.map((step) => step.status), ["doing", "open"]);
  assert.equal(planAt(list, "a", "mcp_1")?.live, false);
  assert.ok(planAt(list, "b", "mcp_2")?.live);
});

test("until it says its steps there is nothing to show", () => {
  assert.equal(planAt([turn("a", [change("mcp_1", null)])], "a", "mcp_1"), null);
});
