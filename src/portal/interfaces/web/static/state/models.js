// Which models are there, and which one a new turn would use.
import { computed, signal } from "@preact/signals";
import * as api from "../api.js";
import { me, preferences } from "./session.js";
import { findWorkspace, workspaces } from "./workspaces.js";

/** @type {import("@preact/signals").Signal<import("../types.js").Model[]>} */
export const models = signal([]);
/** @type {import("@preact/signals").Signal<import("../types.js").BackendView[]>} */
export const backends = signal([]);
/** @type {import("@preact/signals").Signal<{model: string, reason: string}|null>} */
export const autoModel = signal(null);
export const modelsLoaded = signal(false);

export const guideModel = computed(() => /** @type {string} */ (me.value?.guide_model ?? "portal-guide"));
/** Models that can hold a conversation; the built-in guide last. */
export const chatModels = computed(() =>
  models.value
    .filter((model) => model.capabilities.includes("chat"))
    .sort((a, b) => Number(a.id === guideModel.value) - Number(b.id === guideModel.value)),
);
export const AUTO = "auto";
/** The workspaces in which a model of the person's own would answer now. */
export const openWorkspaces = computed(() => workspaces.value.filter(({ now }) => now.model && now.model !== guideModel.value));
/** No model of the person's own is there: the page helps to get one. */
export const noModels = computed(
  () => modelsLoaded.value && !chatModels.value.some((model) => model.id !== guideModel.value),
);

export async function loadModels() {
  const answer = await api.models();
  models.value = answer.data;
  backends.value = answer.backends;
  autoModel.value = answer.auto;
  modelsLoaded.value = true;
}

/** Look for model servers again now. */
export async function refreshModels() {
  await api.refreshModels();
  await loadModels();
}

/** A model; of a workspace the one that answers there now. @param {string|null|undefined} id */
export const findModel = (id) => {
  const meant = findWorkspace(id)?.now.model ?? (id === AUTO ? autoModel.value?.model : id);
  return models.value.find((model) => model.id === meant) ?? null;
};

/** What a new conversation starts with; null until the models are known. @type {import("@preact/signals").ReadonlySignal<string|null>} */
export const defaultModel = computed(() => {
  const wanted = preferences.value.default_model;
  if (wanted && (!modelsLoaded.value || findModel(wanted))) return wanted;
  if (!modelsLoaded.value) return null;
  const ours = autoModel.value && autoModel.value.model !== guideModel.value;
  return ours ? AUTO : chatModels.value[0]?.id ?? guideModel.value;
});
