import assert from "node:assert/strict";
import { test } from "node:test";
import {
  answerText, applyEvent, argumentsOf, callRuns, callState, gist, goesOn, isRunning, newTurn, questionFiles, questionText, resendable, storedTurn, waitsForPerson,
} from "../../src/portal/interfaces/web/static/turns.js";

const question = { type: "message", id: "msg_1", status: "completed", role: "user", content: [{ type: "input_text", text: "Why?" }, { type: "input_file", file_id: "file_1", filename: "a.txt" }] };
const response = (fields) => ({ id: "resp_1", status: "in_progress", model: "tiny", output: [], created_at: 100, usage: null, ...fields });
const item = (text, status = "in_progress") => ({ type: "message", id: "msg_2", role: "assistant", status, content: [{ type: "output_text", text, annotations: [] }] });
const numbered = (events) => events.map((event, index) => ({ sequence_number: index, ...event }));
const run = (turn, events, now = 103_000) => events.reduce((old, event) => applyEvent(old, event, now), turn);
const start = () => newTurn({ input: [question], model: "tiny", previous: null });

const STREAM = numbered([
  { type: "response.created", response: response() },
  { type: "portal:route", decision: { resolved_model: "tiny" } },
  { type: "response.output_item.added", output_index: 0, item: { type: "reasoning", id: "rs_1", summary: [], content: [] } },
  { type: "response.content_part.added", output_index: 0, content_index: 0, part: { type: "reasoning_text", text: "" } },
  { type: "response.reasoning.delta", output_index: 0, content_index: 0, delta: "Hm." },
  { type: "response.output_item.done", output_index: 0, item: { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Hm." }] } },
  { type: "response.output_item.added", output_index: 1, item: { ...item(""), content: [] } },
  { type: "response.content_part.added", output_index: 1, content_index: 0, part: { type: "output_text", text: "", annotations: [] } },
  { type: "response.output_text.delta", output_index: 1, content_index: 0, delta: "Be" },
  { type: "response.output_text.delta", output_index: 1, content_index: 0, delta: "cause." },
  { type: "response.output_text.annotation.added", output_index: 1, content_index: 0, annotation: { type: "url_citation", url: "/manual/a" } },
]);

test("a stream grows a turn", () => {
  const turn = run(start(), STREAM);
  assert.equal(answerText(turn), "Because.");
  assert.equal(turn.id, "resp_1");
  assert.deepEqual(turn.siblings, ["resp_1"]);
  assert.equal(turn.route?.resolved_model, "tiny");
  assert.equal(turn.output[1].content[0].annotations.length, 1);
  assert.equal(turn.progress, null);
  assert.ok(isRunning(turn));
});

test("an event that was seen changes nothing, whatever is sent again", () => {
  const turn = run(start(), STREAM);
  assert.equal(run(turn, STREAM), turn);
  assert.equal(answerText(run(start(), [...STREAM.slice(0, 9), ...STREAM])), "Because.");
});

test("after a break the missed deltas come as one", () => {
  const turn = run(start(), STREAM.slice(0, 9));
  const merged = { type: "response.output_text.delta", sequence_number: 9, output_index: 1, content_index: 0, delta: "cause." };
  assert.equal(answerText(run(turn, [STREAM[8], merged])), "Because.");
});

test("the end brings usage, time and the whole output", () => {
  const done = { type: "response.completed", sequence_number: 11, response: response({ status: "completed", output: [item("Because!", "completed")], usage: { output_tokens: 2, "portal:estimated": true } }) };
  const turn = run(start(), [...STREAM, done]);
  assert.equal(answerText(turn), "Because!");
  assert.equal(turn.ms, 3000);
  assert.equal(turn.estimated, true);
  assert.equal(isRunning(turn), false);
});

test("failures keep what was written", () => {
  const failed = { type: "response.failed", sequence_number: 11, response: response({ status: "failed", error: { code: "backend_interrupted", message: "cut" }, output: [item("Be", "incomplete")] }) };
  const turn = run(start(), [...STREAM, failed]);
  assert.equal(answerText(turn), "Be");
  assert.equal(turn.error?.message, "cut");
  const plain = run(start(), [STREAM[0], { type: "error", sequence_number: 1, code: "x", message: "no" }]);
  assert.equal(plain.status, "failed");
  assert.equal(plain.error?.message, "no");
});

test("waits are named until text comes, and keep the time they began", () => {
  const loading = (sequence_number, detail) => ({ type: "portal:progress", sequence_number, state: "loading", detail });
  const first = applyEvent(start(), loading(0, "a"), 1000);
  const second = applyEvent(first, loading(1, "b"), 5000);
  assert.deepEqual(second.progress, { state: "loading", detail: "b", since: 1000 });
  assert.equal(run(second, numbered(STREAM).map((event) => ({ ...event, sequence_number: event.sequence_number + 2 }))).progress, null);
});

test("thinking is timed", () => {
  const thinking = STREAM.slice(0, 5).reduce((turn, event) => applyEvent(turn, event, 1000), start());
  assert.deepEqual(thinking.thinking.rs_1, { from: 1000, to: null });
  assert.deepEqual(applyEvent(thinking, STREAM[5], 4000).thinking.rs_1, { from: 1000, to: 4000 });
});

test("calls and refusals grow too", () => {
  const turn = run(start(), numbered([
    { type: "response.created", response: response() },
    { type: "response.output_item.added", output_index: 0, item: { type: "function_call", id: "fc", name: "f", arguments: "" } },
    { type: "response.function_call_arguments.delta", output_index: 0, delta: '{"a"' },
    { type: "response.function_call_arguments.delta", output_index: 0, delta: ": 1}" },
    { type: "response.output_item.added", output_index: 1, item: { ...item(""), content: [] } },
    { type: "response.refusal.delta", output_index: 1, content_index: 0, delta: "No." },
    { type: "response.of_a_later_version", anything: 1 },
  ]));
  assert.equal(turn.output[0].arguments, '{"a": 1}');
  assert.equal(answerText(turn), "No.");
});

test("a stored turn is a turn, running or done", () => {
  const view = { response: response({ output: [item("Be")] }), input: [question], siblings: ["resp_1"], route: null, feedback: 1, last_seq: 8, ms: null, estimated_usage: false };
  const turn = storedTurn(view);
  assert.equal(turn.lastSeq, 8);
  assert.equal(turn.progress?.state, "working");
  assert.equal(questionText(turn), "Why?");
  assert.equal(questionFiles(turn).length, 1);
  assert.equal(storedTurn({ ...view, response: response({ status: "completed" }) }).progress, null);
});

test("what is sent again leaves out what the server filled in", () => {
  assert.deepEqual(Object.keys(resendable(question)), ["type", "role", "content"]);
});

const call = (id, fields) => ({ type: "mcp_call", id, server_label: "notes", name: "look", arguments: "", output: null, error: null, status: "in_progress", approval_request_id: null, ...fields });

test("calls of tools run beside each other, and say how far they are", () => {
  const begun = numbered([
    { type: "response.created", response: response() },
    { type: "response.output_item.added", output_index: 0, item: call("mcp_a") },
    { type: "response.mcp_call.in_progress", output_index: 0, item_id: "mcp_a" },
    { type: "response.mcp_call_arguments.done", output_index: 0, item_id: "mcp_a", arguments: '{"what": "a"}' },
    { type: "response.output_item.added", output_index: 1, item: call("mcp_b") },
    { type: "portal:tool_progress", item_id: "mcp_b", detail: "half" },
    { type: "response.output_item.done", output_index: 0, item: call("mcp_a", { status: "completed", output: "saw a" }) },
  ]);
  const turn = run(start(), begun);
  assert.equal(run(start(), begun.slice(0, 4)).output[0].arguments, '{"what": "a"}');
  assert.deepEqual(turn.tools.mcp_b, { since: 103_000, detail: "half" });
  assert.equal(turn.progress, null);
  assert.ok(callRuns(turn.output[1]));
  const done = applyEvent(turn, { type: "response.output_item.done", sequence_number: 7, output_index: 1, item: call("mcp_b", { status: "failed", error: "no" }) });
  assert.equal(done.progress?.state, "working");
  assert.deepEqual(applyEvent(start(), { type: "portal:tool_progress", sequence_number: 0, item_id: "mcp_x" }, 5).tools.mcp_x, { since: 5, detail: "" });
});

test("how a call stands", () => {
  const no = [{ type: "mcp_approval_response", approval_request_id: "mcpr_1", approve: false }];
  assert.equal(callState(call("a"), []), "running");
  assert.equal(callState(call("a", { status: "completed" }), []), "done");
  assert.equal(callState(call("a", { status: "incomplete" }), []), "unknown");
  assert.equal(callState(call("a", { status: "failed", error: "There is no paper." }), []), "failed");
  assert.equal(callState(call("a", { status: "failed", error: "Not allowed: a policy says so." }), []), "denied");
  assert.equal(callState(call("a", { status: "failed", error: "Nein.", approval_request_id: "mcpr_1" }), no), "denied");
});

test("a turn that waits for a person, and the one that goes on after it", () => {
  const waiting = run(start(), numbered([{ type: "response.incomplete", response: response({ status: "incomplete", incomplete_details: { reason: "approval_required" } }) }]));
  assert.ok(waitsForPerson(waiting));
  assert.ok(!goesOn(waiting));
  assert.ok(goesOn(newTurn({ input: [{ type: "mcp_approval_response" }], model: "tiny", previous: "resp_1" })));
});

test("arguments in words", () => {
  assert.deepEqual(argumentsOf(""), {});
  assert.equal(argumentsOf("[1]"), null);
  assert.equal(argumentsOf('{"a"'), null);
  assert.equal(gist('{"n": 3, "empty": " ", "path": " notes.md\\nmore"}'), "notes.md");
  assert.equal(gist("{}"), "");
});
