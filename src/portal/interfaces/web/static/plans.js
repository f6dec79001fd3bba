// The plan of an answer, as the calls that make and change it say. Pure but for the signals it is handed.
import { goesOn } from "./turns.js";

/** @typedef {import("./types.js").Item} Item */
/** @typedef {{title: string, needs: number[], status: "open"|"doing"|"done"|"failed"|"skipped", note?: string, calls?: number}} Step */
/** @typedef {{steps: Step[], newest: import("./types.js").Turn, live: boolean}} PlanCard */

const CHANGES = new Set(["make_plan", "update_plan"]);
/** What was read before, so that an answer that grows reads nothing twice. @type {WeakMap<Item, Step[]|null>} */
const read = new WeakMap();

/** A change of a plan that was made, or is being made. @param {Item|undefined} item */
export const isPlan = (item) => item?.type === "mcp_call" && item.server_label === "tasks" && CHANGES.has(item.name) && !item.error;

/** The steps after such a change; null until it says them. @param {Item} item @returns {Step[]|null} */
export function stepsOf(item) {
  if (!read.has(item)) read.set(item, parsed(item.output));
  return read.get(item) ?? null;
}

/** @param {unknown} output  JSON on the first line, words for the model behind it @returns {Step[]|null} */
function parsed(output) {
  try {
    const { steps } = JSON.parse(String(output ?? "").split("\n", 1)[0]);
    return Array.isArray(steps) && steps.length ? steps : null;
  } catch {
    return null;
  }
}

/**
 * What stands in the place of a change: the plan as it is now, where it is the first of its answer, else nothing. An
 * answer that waited for a person goes on in further turns.
 * @param {import("./state/chat.js").TurnSignal[]} list @param {string} key  of the turn @param {string|undefined} id  of the change
 * @returns {PlanCard|null}
 */
export function planAt(list, key, id) {
  const at = list.findIndex((turn) => turn.peek().key === key);
  let [first, last] = [at, at];
  while (first > 0 && goesOn(list[first].peek())) first -= 1;
  while (last + 1 < list.length && goesOn(list[last + 1].peek())) last += 1;
  const answer = list.slice(Math.max(first, 0), last + 1).map((turn) => turn.value);
  const changes = answer.flatMap((turn) => turn.output.filter(isPlan));
  const told = changes[0]?.id === id ? changes.filter(stepsOf).at(-1) : undefined;
  if (!told) return null;
  return { steps: stepsOf(told) ?? [], newest: answer[answer.length - 1], live: last === list.length - 1 };
}

/** How many steps are behind. @param {Step[]} steps */
export const behind = (steps) => steps.filter((step) => step.status === "done" || step.status === "skipped").length;
