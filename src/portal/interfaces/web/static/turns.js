// A turn as the page shows it, and how each streamed event changes it. Pure: no signals, no network.
/** @typedef {import("./types.js").Turn} Turn */
/** @typedef {import("./types.js").Item} Item */

const TERMINAL = new Set(["completed", "failed", "incomplete", "cancelled"]);
/** @param {Turn} turn */
export const isRunning = (turn) => !TERMINAL.has(turn.status);

let made = 0;
/** @returns {string} */
export const newKey = () => `turn-${++made}`;

/**
 * A turn that is being sent.
 * @param {{input: Item[], model: string, previous: string|null, siblings?: string[], stored?: boolean, collections?: string[]}} start
 * @returns {Turn}
 */
export function newTurn({ input, model, previous, siblings = [], stored = true, collections = [] }) {
  const now = Date.now();
  return {
    key: newKey(), id: null, status: "sending", model, input, output: [], previous, siblings, route: null, feedback: 0,
    lastSeq: -1, ms: null, usage: null, estimated: false, error: null, incomplete: null,
    progress: { state: "sending", since: now }, thinking: {}, tools: {}, createdAt: now / 1000, stored, connection: "live", collections,
  };
}

/**
 * A turn as the server stored it.
 * @param {import("./types.js").TurnView} view
 * @returns {Turn}
 */
export function storedTurn(view) {
  const { response } = view;
  const running = !TERMINAL.has(response.status);
  return {
    key: newKey(), id: response.id, status: response.status, model: response.model, input: view.input,
    output: response.output, previous: response.previous_response_id ?? null, siblings: view.siblings,
    route: view.route, feedback: view.feedback, lastSeq: view.last_seq, ms: view.ms, usage: response.usage ?? null,
    estimated: view.estimated_usage, error: response.error ?? null, incomplete: response.incomplete_details?.reason ?? null,
    progress: running ? { state: response.status === "queued" ? "queued" : "working", since: response.created_at * 1000 } : null,
    thinking: {}, tools: {}, createdAt: response.created_at, stored: true, connection: null, collections: collectionsOf(response),
  };
}

/**
 * The turn after an event. Events at or below `lastSeq` were seen: nothing happens twice.
 * @param {Turn} turn
 * @param {Record<string, any>} event
 * @param {number} [now] milliseconds
 * @returns {Turn}
 */
export function applyEvent(turn, event, now = Date.now()) {
  const seq = event.sequence_number;
  if (typeof seq === "number" && seq <= turn.lastSeq) return turn;
  const next = typeof seq === "number" ? { ...turn, lastSeq: seq } : { ...turn };
  const apply = APPLY[event.type];
  if (apply) apply(next, event, now);
  else if (event.response) adopt(next, event.response, now);
  return next;
}

/** @type {Record<string, (turn: Turn, event: any, now: number) => void>} */
const APPLY = {
  "response.output_item.added": (turn, event, now) => {
    put(turn, event.output_index, event.item);
    if (event.item.type === "mcp_call") turn.tools = { ...turn.tools, [event.item.id]: { since: now, detail: "" } };
    if (event.item.type === "reasoning") turn.thinking = { ...turn.thinking, [event.item.id]: { from: now, to: null } };
    turn.progress = event.item.type === "reasoning" ? { state: "thinking", since: now } : null;
  },
  "response.output_item.done": (turn, event, now) => {
    put(turn, event.output_index, event.item);
    const span = turn.thinking[event.item.id];
    if (span && span.to === null) turn.thinking = { ...turn.thinking, [event.item.id]: { from: span.from, to: now } };
    if (isRunning(turn) && !turn.output.some(callRuns)) turn.progress = { state: "working", since: now };
  },
  "response.content_part.added": (turn, event) => part(turn, event, () => event.part),
  "response.content_part.done": (turn, event) => part(turn, event, () => event.part),
  "response.output_text.delta": (turn, event) => {
    turn.progress = null;
    part(turn, event, (old) => ({ type: "output_text", annotations: [], ...old, text: (old?.text ?? "") + event.delta }));
  },
  "response.refusal.delta": (turn, event) =>
    part(turn, event, (old) => ({ type: "refusal", ...old, refusal: (old?.refusal ?? "") + event.delta })),
  "response.reasoning.delta": (turn, event) =>
    part(turn, event, (old) => ({ type: "reasoning_text", ...old, text: (old?.text ?? "") + event.delta })),
  "response.output_text.annotation.added": (turn, event) =>
    part(turn, event, (old) => ({ ...old, annotations: [...(old?.annotations ?? []), event.annotation] })),
  "response.function_call_arguments.delta": (turn, event) =>
    change(turn, event, (item) => ({ ...item, arguments: (item.arguments ?? "") + event.delta })),
  "response.mcp_call_arguments.done": (turn, event) => change(turn, event, (item) => ({ ...item, arguments: event.arguments })),
  "portal:tool_progress": (turn, event, now) => {
    turn.tools = { ...turn.tools, [event.item_id]: { since: turn.tools[event.item_id]?.since ?? now, detail: event.detail ?? "" } };
  },
  "portal:progress": (turn, event, now) => {
    const since = turn.progress?.state === event.state ? turn.progress?.since : now;
    turn.progress = { state: event.state, detail: event.detail, since: since ?? now };
  },
  "portal:route": (turn, event) => {
    turn.route = event.decision;
  },
  error: (turn, event, now) => fail(turn, event.error ?? event, now),
};
APPLY["response.reasoning_text.delta"] = APPLY["response.reasoning.delta"];

/** @param {Turn} turn @param {any} error @param {number} now */
function fail(turn, error, now) {
  turn.error = { message: error.message ?? "", code: error.code ?? null, type: error.type ?? null };
  turn.status = "failed";
  settle(turn, now);
}

/** A response snapshot came with an event: created, in progress, or terminal. @param {Turn} turn @param {any} response @param {number} now */
function adopt(turn, response, now) {
  turn.id = response.id;
  turn.status = response.status;
  turn.model = response.model ?? turn.model;
  turn.error = response.error ?? null;
  turn.incomplete = response.incomplete_details?.reason ?? null;
  turn.usage = response.usage ?? turn.usage;
  turn.estimated = Boolean(turn.usage?.["portal:estimated"]);
  turn.createdAt = response.created_at ?? turn.createdAt;
  if (response.tools) turn.collections = collectionsOf(response);
  if (!turn.siblings.includes(response.id)) turn.siblings = [...turn.siblings, response.id];
  if (isRunning(turn)) {
    if (turn.progress?.state === "sending") turn.progress = { ...turn.progress, state: "working" };
    return;
  }
  turn.output = response.output ?? turn.output;
  settle(turn, now);
}

/** The collections of documents that a request named. @param {any} response @returns {string[]} */
const collectionsOf = (response) => (response.tools ?? []).find((/** @type {any} */ tool) => tool.type === "file_search")?.vector_store_ids ?? [];

/** @param {Turn} turn @param {number} now */
function settle(turn, now) {
  turn.progress = null;
  turn.connection = null;
  turn.ms ??= Math.max(0, now - turn.createdAt * 1000);
  const open = Object.entries(turn.thinking).filter(([, span]) => span.to === null);
  if (open.length) turn.thinking = { ...turn.thinking, ...Object.fromEntries(open.map(([id, { from }]) => [id, { from, to: now }])) };
}

/** @param {Turn} turn @param {number} index @param {Item} item */
function put(turn, index, item) {
  turn.output = turn.output.slice();
  turn.output[index] = item;
}

/** @param {Turn} turn @param {any} event @param {(item: Item) => Item} make */
function change(turn, event, make) {
  const item = turn.output[event.output_index];
  if (item) put(turn, event.output_index, make(item));
}

/** @param {Turn} turn @param {any} event @param {(part: any) => any} make */
function part(turn, event, make) {
  change(turn, event, (item) => {
    const content = Array.isArray(item.content) ? item.content.slice() : [];
    content[event.content_index ?? 0] = make(content[event.content_index ?? 0]);
    return { ...item, content };
  });
}

/** A tool call that is under way. @param {Item|undefined} item */
export const callRuns = (item) => item?.type === "mcp_call" && item.status === "in_progress";

/** The turn goes on after a person's decision: it belongs to the answer before it. @param {Turn} turn */
export const goesOn = (turn) => turn.input.some((item) => item.type === "mcp_approval_response");

/** The turn waits for a person. @param {Turn} turn */
export const waitsForPerson = (turn) => turn.incomplete === "approval_required";

/** How a call that Portal ran stands. @param {Item} item @param {Item[]} input  the turn's, which holds what a person decided */
export function callState(item, input) {
  if (item.status === "in_progress" || item.status === "calling") return "running";
  if (item.status === "completed") return "done";
  if (item.status === "incomplete") return "unknown";
  const answer = input.find((each) => each.type === "mcp_approval_response" && each.approval_request_id === item.approval_request_id);
  const refused = /^(not allowed|denied|the person said no|nobody answered in time)/i.test(item.error ?? "");
  return (item.approval_request_id && answer?.approve === false) || refused ? "denied" : "failed";
}

/** A call's arguments by name; null for what is no JSON object (yet). @param {string} text @returns {Record<string, any>|null} */
export function argumentsOf(text) {
  try {
    const parsed = JSON.parse(text || "{}");
    return parsed !== null && typeof parsed === "object" && !Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** What a call is about, in one line: its first argument that is a text. @param {string} text */
export function gist(text) {
  const first = Object.values(argumentsOf(text) ?? {}).find((value) => typeof value === "string" && value.trim());
  return (first ?? "").trim().split("\n")[0].slice(0, 120);
}

/** The plain text of an item's parts. @param {Item} item */
export function textOf(item) {
  if (typeof item.content === "string") return item.content;
  return (item.content ?? []).map((/** @type {any} */ each) => each.text ?? each.refusal ?? "").join("");
}

/** What an item's text rests on; places count from the beginning of the whole text. @param {Item} item @returns {Record<string, any>[]} */
export function annotationsOf(item) {
  let before = 0;
  return (Array.isArray(item.content) ? item.content : []).flatMap((part) => {
    const from = before;
    before += [...(part.text ?? part.refusal ?? "")].length;
    return (part.annotations ?? []).map((/** @type {any} */ note) => (note.type === "file_citation" ? { ...note, index: note.index + from } : note));
  });
}

/** What the model answered, as plain Markdown. @param {Turn} turn */
export const answerText = (turn) => turn.output.filter((item) => item?.type === "message").map(textOf).join("\n\n");

/** What the person asked, as plain text. @param {Turn} turn */
export const questionText = (turn) => turn.input.filter((item) => item.type === "message" && item.role === "user").map(textOf).join("\n\n");

/** Attachments of the question: its parts that are not text. @param {Turn} turn @returns {any[]} */
export const questionFiles = (turn) =>
  turn.input.flatMap((item) => (Array.isArray(item.content) ? item.content : [])).filter((each) => each.type !== "input_text" && each.type !== "text");

/** An item as it may be sent again: without what the server filled in. @param {Item} item @returns {Item} */
export function resendable({ id: _id, status: _status, ...item }) {
  return /** @type {Item} */ (item);
}
