// Questions to the person: which wait, what became of those on show, and deciding them. Tools and what is allowed.
import { batch, computed, signal } from "@preact/signals";
import * as api from "../api.js";
import { catchUp } from "./chat.js";
import { attempt } from "./organise.js";

/** @import {Approval, Verdict, Grant} from "../types.js" */

/** Those that are known, by id. @type {import("@preact/signals").Signal<Record<string, Approval>>} */
const known = signal({});
/** Newest first. @type {import("@preact/signals").ReadonlySignal<Approval[]>} */
export const pendingApprovals = computed(() =>
  Object.values(known.value).filter((each) => each.status === "pending").sort((a, b) => (a.id < b.id ? 1 : -1)),
);
export const approvalsLoaded = signal(false);
/** Counts what may have changed, for the lists that only their own views show. */
export const approvalNews = signal(0);
export const toolNews = signal(0);

/** @param {string} id @returns {Approval|null} */
export const approvalOf = (id) => known.value[id] ?? null;

/** @param {Approval[]} fresh */
const keep = (fresh) => void (known.value = { ...known.value, ...Object.fromEntries(fresh.map((each) => [each.id, each])) });

/** Those that wait; what waited before and is not among them any more is asked for again. */
export async function loadApprovals() {
  const waiting = (await api.approvals({ status: "pending", limit: 200 })).data;
  const still = new Set(waiting.map((each) => each.id));
  const gone = pendingApprovals.value.filter((each) => !still.has(each.id));
  const decided = await Promise.all(gone.map((each) => api.approval(each.id).catch(missing)));
  batch(() => {
    keep([...waiting, ...decided.filter((each) => each !== null)]);
    approvalsLoaded.value = true;
    approvalNews.value += 1;
  });
}

/** @param {unknown} error @returns {null} one that was deleted with its conversation */
function missing(error) {
  if (!(error instanceof api.ApiError)) throw error;
  return null;
}

/** One that is on show, decided perhaps. @param {string} id */
export async function loadApproval(id) {
  const found = await api.approval(id).catch(missing);
  if (found) keep([found]);
}

export async function approvalChanged() {
  await loadApprovals();
  toolsChanged();
}

export const toolsChanged = () => void (toolNews.value += 1);

/** Say yes or no; the conversation goes on by itself. True when it was heard. @param {string} id @param {Verdict} verdict */
export async function decide(id, verdict) {
  const heard = await attempt(async () => {
    const { approval, response_id } = await api.decide(id, verdict);
    keep([approval]);
    if (response_id) await catchUp();
  });
  if (!heard) await loadApproval(id);
  return heard;
}

/** @param {Grant} grant */
export const removeGrant = (grant) => attempt(() => api.removeGrant(grant.id));
