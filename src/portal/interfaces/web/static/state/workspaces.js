// Workspaces: which are there and what each means now; saving, trying, deleting with undo, taking over from elsewhere.
import { signal } from "@preact/signals";
import * as api from "../api.js";
import { navigate } from "../router.js";
import { t } from "../strings.js";
import { attempt } from "./organise.js";
import { route, toast } from "./place.js";

/** @import {Workspace, WorkspaceFields, Persona} from "../types.js" */

/** @type {import("@preact/signals").Signal<Workspace[]>} */
export const workspaces = signal([]);
export const workspacesLoaded = signal(false);
/** @type {import("@preact/signals").Signal<Persona[]>} */
export const personas = signal([]);

export async function loadWorkspaces() {
  workspaces.value = (await api.workspaces()).data;
  workspacesLoaded.value = true;
}

/** Once; they change with Portal's version only. */
export async function loadPersonas() {
  if (!personas.value.length) personas.value = (await api.personas()).data;
}

/** @param {string|null|undefined} name */
export const findWorkspace = (name) => workspaces.value.find((each) => each.name === name) ?? null;

/** @type {(keyof WorkspaceFields)[]} */
const FIELDS = ["title", "description", "task", "persona", "instructions", "prefer", "strategy", "parameters", "tools", "knowledge", "collections", "memory", "users",
  "max_output_tokens", "max_rounds", "max_seconds", "max_tokens"];

/** What of a workspace can be saved. @param {Workspace} one @returns {WorkspaceFields} */
export const fieldsOf = (one) => /** @type {any} */ (Object.fromEntries(FIELDS.map((name) => [name, one[name]])));

/** @param {string} name @param {WorkspaceFields} fields */
const put = async (name, fields) => {
  await api.saveWorkspace(name, fields);
  await loadWorkspaces();
};

/** Make or change one's own. Throws ApiError, for the form to show. @param {string} name @param {WorkspaceFields} fields */
export async function saveWorkspace(name, fields) {
  await put(name, fields);
  toast(t("workspaces.saved", { name }));
}

/** Delete one's own at once, or go back to what it overrides; a toast offers to undo. @param {Workspace} one */
export async function removeWorkspace(one) {
  const address = `/workspaces/${encodeURIComponent(one.name)}`;
  const gone = await attempt(async () => {
    await api.deleteWorkspace(one.name);
    await loadWorkspaces();
  });
  if (!gone) return;
  if (!one.replaces && route.value.path === address) navigate("/workspaces");
  const undo = async () => {
    if ((await attempt(() => put(one.name, fieldsOf(one)))) && !one.replaces) navigate(address);
  };
  toast(t(one.replaces ? "workspaces.wasReset" : "workspaces.deleted", { name: one.title || one.name }), { action: t("common.undo"), run: undo });
}

/** Take over another program's export; what became of each entry, null when refused. @param {string} content */
export async function importWorkspaces(content) {
  /** @type {import("../types.js").Imported[]|null} */
  let told = null;
  await attempt(async () => {
    told = (await api.importPersonas(content)).data;
    await loadWorkspaces();
  });
  return told;
}
