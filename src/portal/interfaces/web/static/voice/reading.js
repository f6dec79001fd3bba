// Reads an answer aloud, sentence by sentence while it grows; the next sentence is fetched while one is heard.
import { ApiError } from "../api.js";
import { speech } from "../api/voice.js";
import { toast } from "../state.js";
import { reading, setReading } from "../state/voice.js";
import { language } from "../strings.js";
import { answerText, isRunning } from "../turns.js";
import { nextSentence } from "./sentences.js";

/** @typedef {import("../state/chat.js").TurnSignal} TurnSignal */
/** @type {AbortController|null} */
let current = null;

/** Fall silent. */
export function stopReading() {
  current?.abort();
  current = null;
  setReading(null);
}

/** Read a turn's answer, from its beginning to its end; resolves when it is over, whatever ended it. @param {TurnSignal} turn */
export async function readAloud(turn) {
  stopReading();
  const mine = (current = new AbortController());
  setReading(turn.peek().key);
  try {
    await readAll(sentences(turn, mine.signal), mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
  } finally {
    if (current === mine) stopReading();
  }
}

/** Whether it is this turn that is read. @param {TurnSignal} turn */
export const isRead = (turn) => reading.value === turn.value.key;

/** @param {AsyncGenerator<string, void, void>} said @param {AbortSignal} signal */
async function readAll(said, signal) {
  const fetched = async () => {
    const { value, done } = await said.next();
    return done || !value ? null : speech(value, language(), signal);
  };
  let next = fetched();
  for (let sound = await next; sound; sound = await next) {
    next = fetched();
    next.catch(() => {}); // told when it is its turn
    await play(sound, signal);
  }
}

/** @param {TurnSignal} turn @param {AbortSignal} signal @returns {AsyncGenerator<string, void, void>} */
async function* sentences(turn, signal) {
  let at = 0;
  while (!signal.aborted) {
    const going = isRunning(turn.peek());
    const found = nextSentence(answerText(turn.peek()), at, !going);
    if (found) at = found.end;
    if (found?.said) yield found.said;
    else if (!found && !going) return;
    else if (!found) await changed(turn, signal);
  }
}

/** Until there is more of it. @param {TurnSignal} turn @param {AbortSignal} signal */
function changed(turn, signal) {
  return new Promise((resolve) => {
    let first = true;
    const leave = turn.subscribe(() => {
      if (first) return void (first = false);
      leave();
      resolve(undefined);
    });
    signal.addEventListener("abort", () => resolve(leave()), { once: true });
  });
}

/** @param {Blob} sound @param {AbortSignal} signal @returns {Promise<void>} */
function play(sound, signal) {
  const address = URL.createObjectURL(sound);
  const player = new Audio(address);
  return new Promise((resolve) => {
    const end = () => {
      player.onended = player.onerror = null;
      player.pause();
      player.removeAttribute("src");
      player.load(); // lets go of the sound before its address goes
      URL.revokeObjectURL(address);
      resolve();
    };
    player.onended = end;
    player.onerror = end;
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    else player.play().catch(end);
  });
}
