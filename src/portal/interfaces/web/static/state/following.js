// The event streams of the turns on show: each is followed to its end, however often the connection breaks.
import * as api from "../api.js";
import { applyEvent, isRunning } from "../turns.js";
import { nextFrame, pause } from "../wait.js";

/** @typedef {import("../types.js").Turn} Turn */
/** @typedef {import("@preact/signals").Signal<Turn>} TurnSignal */

/** @type {Set<AbortController>} */
const following = new Set();

/** Following ends when the person goes elsewhere. */
export function leave() {
  for (const controller of following) controller.abort();
  following.clear();
}

/**
 * Feed a turn from its event stream until it ends; after a break, re-attach and go on where it was.
 * @param {TurnSignal} turn
 * @param {(signal: AbortSignal) => AsyncGenerator<any, void, void>} [begin]  the first stream; otherwise re-attach
 */
export async function follow(turn, begin) {
  const controller = new AbortController();
  following.add(controller);
  try {
    await pump(turn, controller.signal, begin);
  } catch (error) {
    if (!controller.signal.aborted) breakOff(turn, error);
  } finally {
    following.delete(controller);
  }
}

/** @param {TurnSignal} turn @param {AbortSignal} signal @param {((signal: AbortSignal) => AsyncGenerator<any, void, void>)|undefined} begin */
async function pump(turn, signal, begin) {
  let stream = begin;
  for (let wait = 250; isRunning(turn.value); wait = Math.min(wait * 2, 8000)) {
    try {
      const before = turn.value.lastSeq;
      await drain(turn, stream ? stream(signal) : api.resume(turn.value.id ?? "", turn.value.lastSeq, signal));
      if (turn.value.lastSeq > before) wait = 250;
    } catch (error) {
      const lost = error instanceof api.ApiError && (error.status === 0 || error.status >= 502);
      if (!lost || turn.value.id === null || !turn.value.stored) throw error;
    }
    if (!isRunning(turn.value)) return;
    if (turn.value.id === null || !turn.value.stored) throw new api.ApiError({ status: 0, message: "connection lost", code: "unreachable" });
    stream = undefined;
    turn.value = { ...turn.value, connection: "retrying" };
    await pause(wait);
    signal.throwIfAborted();
  }
}

/** Apply a stream's events, all that came within a frame at once. @param {TurnSignal} turn @param {AsyncGenerator<any, void, void>} stream */
async function drain(turn, stream) {
  /** @type {any[]} */
  let waiting = [];
  const flush = () => {
    const events = waiting;
    waiting = [];
    if (events.length) turn.value = events.reduce((old, event) => applyEvent(old, event), /** @type {Turn} */ ({ ...turn.value, connection: "live" }));
  };
  try {
    for await (const event of stream) {
      if (waiting.push(event) === 1) nextFrame(flush);
    }
  } finally {
    flush();
  }
}

/** @param {TurnSignal} turn @param {unknown} error */
function breakOff(turn, error) {
  if (!(error instanceof api.ApiError)) throw error;
  const { status, code, type, message } = error;
  turn.value = { ...turn.value, status: "failed", progress: null, connection: null, error: { status, code, type, message } };
}
