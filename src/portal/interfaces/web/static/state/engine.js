// The embedded engine: whether it is built, what building lacks, its model files and pulls; and looking for servers.
import { effect, signal } from "@preact/signals";
import * as api from "../api.js";
import { progressById } from "./changes.js";
import { loadModels } from "./models.js";
import { attempt } from "./organise.js";
import { session } from "./session.js";

/**
 * @typedef {{
 *   id: string, source: string, done: number, total: number|null, error: string|null,
 *   state: "running"|"done"|"failed"|"cancelled"|"interrupted",
 * }} Pull
 * @typedef {{
 *   installed: boolean, building: {state: "running"|"done"|"failed", progress: number, log_tail: string[]}|null,
 *   needs: {minutes: number, space_mb: number, problems: string[]} & Record<string, any>,
 *   models: {name: string, size: number}[], pulls: Pull[],
 * }} Engine
 */

/** @type {import("@preact/signals").Signal<Engine|null>} */
export const engine = signal(null);

export async function loadEngine() {
  engine.value = await api.embedded();
}

const busy = () => {
  const { building, pulls } = engine.value ?? { building: null, pulls: [] };
  return building?.state === "running" || pulls.some((pull) => pull.state === "running");
};

/** @param {Pull} pull */
export const pullEnded = (pull) => Boolean(pull.error) || /^(done|complete|completed|finished|failed|cancell?ed|stopped)$/.test(pull.state);

/** Keep `engine` true until the returned function is called. */
export function watchEngine() {
  let stopped = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  const look = async () => {
    clearTimeout(timer);
    await attempt(loadEngine);
    if (!stopped) timer = setTimeout(look, busy() ? 1000 : 15_000);
  };
  look();
  const release = effect(() => {
    if (Object.keys(progressById.value).length && !stopped) soon();
  });
  let pending = false;
  function soon() {
    if (pending) return;
    pending = true;
    setTimeout(() => {
      pending = false;
      if (!stopped) look();
    }, 300);
  }
  return () => {
    stopped = true;
    clearTimeout(timer);
    release();
  };
}

export const installEngine = () => attempt(async () => {
  await api.installEmbedded();
  await loadEngine();
});

/** @param {string} source @param {string} sha256  empty when not known */
export const pullModel = (source, sha256) => attempt(async () => {
  await api.pull({ source: source.trim(), ...(sha256.trim() ? { sha256: sha256.trim() } : {}) });
  await loadEngine();
});

/** Stop a pull under way, or forget one that has ended. @param {string} id */
export const stopPull = (id) => attempt(async () => {
  await api.cancelPull(id);
  await loadEngine();
});

/** Ask every model server again and again until the returned function is called: for a person who waits for one. */
export function lookForServers() {
  let stopped = false;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  const look = async () => {
    if (session.value === "in" && document.visibilityState === "visible") {
      await api.refreshModels().then(loadModels).catch(refused);
    }
    if (!stopped) timer = setTimeout(look, 4000);
  };
  timer = setTimeout(look, 1000);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** @param {unknown} error  the next look tries again */
function refused(error) {
  if (!(error instanceof api.ApiError)) throw error;
}
