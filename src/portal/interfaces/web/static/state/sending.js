// What a person does to a conversation: ask, stop, edit, regenerate, switch branches, rate.
import { batch, signal } from "@preact/signals";
import * as api from "../api.js";
import { conversationPath, navigate } from "../router.js";
import { moveDraft, settleDraft } from "../chat/draft.js";
import { answerText, goesOn, isRunning, newTurn, questionText, resendable } from "../turns.js";
import { arrive, catchUp, chat, changeChat, running, turns } from "./chat.js";
import { follow } from "./following.js";
import { findFolder, keepConversation } from "./conversations.js";
import { defaultModel, findModel, guideModel, loadModels, modelsLoaded } from "./models.js";
import { route, toast } from "./place.js";
import { t } from "../strings.js";

/** @typedef {import("../types.js").Item} Item */

/** Key of the turn whose question is being edited. @type {import("@preact/signals").Signal<string|null>} */
export const editing = signal(null);
/** @param {string|null} key */
export const setEditing = (key) => void (editing.value = key);

/** The model the next question goes to; null until the models are known. @returns {string|null} */
export function nextModel() {
  const last = turns.value.at(-1)?.peek();
  const wanted = chat.value.model ?? last?.route?.workspace ?? last?.model ?? findFolder(chat.value.folder)?.model;
  return wanted && (!modelsLoaded.value || findModel(wanted)) ? wanted : defaultModel.value;
}

/** The collections that the next question is asked of; none leaves it to the workspace. @returns {string[]} */
export const nextCollections = () => chat.value.collections ?? turns.value.at(-1)?.peek().collections ?? [];
/** @param {string[]} collections */
export const chooseCollections = (collections) => changeChat({ collections });

/** The same, waiting for the models if need be. */
async function settledModel() {
  if (nextModel() === null) await loadModels();
  return nextModel() ?? guideModel.value;
}

/** @param {string} model */
export function chooseModel(model) {
  changeChat({ model });
  const { id } = chat.value;
  if (id) api.changeConversation(id, { model }).catch(ignoreRefusal);
}

/** @param {unknown} error  the choice still holds for what is sent from here */
function ignoreRefusal(error) {
  if (!(error instanceof api.ApiError)) throw error;
}

/**
 * Ask. Attachments have been uploaded.
 * @param {string} text
 * @param {import("../types.js").Attachment[]} attachments
 */
export async function ask(text, attachments) {
  const files = attachments.map(({ kind, id, data, name }) =>
    kind === "image"
      ? { type: "input_image", detail: "auto", ...(data ? { image_url: data } : { file_id: id }) }
      : { type: "input_file", filename: name, ...(data ? { file_data: data } : { file_id: id }) },
  );
  const content = [...files, ...(text ? [{ type: "input_text", text }] : [])];
  const last = turns.value.findLast((turn) => turn.value.id !== null);
  await send({ input: [{ type: "message", role: "user", content }], model: nextModel(), previous: last?.value.id ?? null, index: turns.value.length });
}

/** Ask again with other words, as a new branch beside the old one. @param {import("./chat.js").TurnSignal} turn @param {string} text */
export async function editQuestion(turn, text) {
  const input = turn.value.input.map(resendable).map((item) => {
    if (item.type !== "message" || item.role !== "user" || !Array.isArray(item.content)) return item;
    const kept = item.content.filter((/** @type {any} */ part) => part.type !== "input_text");
    return { ...item, content: [...kept, { type: "input_text", text }] };
  });
  await branch(turn, input, nextModel());
}

/** Answer again, as a new branch beside the old one; what ran after a person's decision is not run again. @param {import("./chat.js").TurnSignal} turn @param {string} [model] */
export async function regenerate(turn, model) {
  await branch(turn, turn.value.input.map(resendable), model ?? nextModel());
}

/** @param {import("./chat.js").TurnSignal} turn @param {Item[]} input @param {string|null} model */
async function branch(turn, input, model) {
  const { previous, siblings, id } = turn.value;
  const index = turns.value.indexOf(turn);
  const again = goesOn(turn.value) ? id : null;
  if (id === null) return send({ input, model, previous, index, siblings, branching: siblings.length > 0 });
  await send({ input, model, previous, index, siblings: siblings.length ? siblings : [id], branching: true, again });
}

/** @param {{input: Item[], model: string|null, previous: string|null, index: number, siblings?: string[], branching?: boolean, again?: string|null}} what */
async function send({ input, model: wanted, previous, index, siblings, branching = false, again = null }) {
  const { temporary } = chat.value;
  const collections = nextCollections();
  const tools = collections.length ? { tools: [{ type: "file_search", vector_store_ids: collections }] } : {};
  const turn = signal(newTurn({ input, model: wanted ?? "", previous, siblings: temporary ? [] : siblings, stored: !temporary, collections }));
  const before = turns.value.slice(0, index);
  batch(() => {
    turns.value = [...before, turn];
    arrive();
  });
  await follow(turn, async function* (signal) {
    const model = wanted ?? (await settledModel());
    if (temporary) return yield* api.respond({ model, truncation: "auto", store: false, ...tools, input: [...before.flatMap(flat), ...input] }, signal);
    const conversation = await ensureConversation(model);
    const place = previous ? { previous_response_id: previous, ...(again ? { "portal:again": again } : {}) } : branching ? { previous_response_id: null, "portal:branch": true } : {};
    for await (const event of api.respond({ model, truncation: "auto", input, conversation, background: true, store: true, ...tools, ...place }, signal)) {
      if (event.response) settleDraft(conversation, questionText(turn.value));
      yield event;
    }
  });
}

/** Everything said in an unstored turn, to be sent along. @param {import("./chat.js").TurnSignal} turn @returns {Item[]} */
function flat(turn) {
  const text = answerText(turn.value);
  const answer = { type: "message", role: "assistant", content: [{ type: "output_text", text, annotations: [] }] };
  return [...turn.value.input.map(resendable), ...(text ? [answer] : [])];
}

/** @param {string} model @returns {Promise<string>} */
async function ensureConversation(model) {
  if (chat.value.id) return chat.value.id;
  const { folder } = chat.value;
  const made = await api.createConversation({ model, ...(folder ? { folder_id: folder } : {}) });
  moveDraft(made.id);
  batch(() => {
    changeChat({ id: made.id, status: "ready", title: made.title, model });
    keepConversation(made);
  });
  const { name, id } = route.value;
  if (name === "chat" && id === null) navigate(conversationPath(made.id), { replace: true }); // who went elsewhere meanwhile stays there
  return made.id;
}

/** Stop the running answer; its text stays. */
export async function stop() {
  const id = running.value?.value.id;
  if (!id) return;
  try {
    await api.cancel(id);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    toast(t("chat.stopFailed"));
  }
}

/** Show another branch: the one that answer `id` belongs to. @param {string} id */
export async function switchBranch(id) {
  const conversation = chat.value.id;
  if (!conversation || running.value) return;
  await api.changeConversation(conversation, { head: id });
  await catchUp();
}

/** @param {import("./chat.js").TurnSignal} turn @param {number} rating  1, -1, or 0 to take it back */
export async function rateTurn(turn, rating) {
  const before = turn.value.feedback;
  turn.value = { ...turn.value, feedback: rating };
  try {
    await api.rate(turn.value.id ?? "", rating);
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    turn.value = { ...turn.value, feedback: before };
    toast(t("error.unsaved"));
  }
}

/** A question can be edited and an answer made again once nothing runs. @param {import("../types.js").Turn} turn */
export const canBranch = (turn) => !isRunning(turn) && !running.value;
