// Completion of a mention: servers first, then what the chosen one holds. A resource is attached, a prompt written out.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api.js";
import * as api from "../api/library.js";
import { attach, attempt } from "../state.js";
import { t } from "../strings.js";
import { PromptForm, written } from "./promptform.js";

/** @typedef {{server: string, prompt: api.Held}} Asking  a prompt that wants to know something first */
/** @typedef {{key: string, label: string, about: string, take: () => Promise<string>, asking?: Asking}} Entry  `take` gives the text for its place */
/** @typedef {(event: KeyboardEvent) => boolean} Steer */

const MOST = 20;

/** @param {{mention: string, steer: {current: Steer|null}, put: (text: string) => void, leave: () => void}} props */
export function Mentions({ mention, steer, put, leave }) {
  const [known, setKnown] = useState({ of: "", entries: /** @type {Entry[]} */ ([]) });
  const [at, setAt] = useState(0);
  const [asking, setAsking] = useState(/** @type {Asking|null} */ (null));
  const place = mention.includes(":") ? `${mention.split(":", 1)[0]}:` : mention[0];
  useEffect(() => {
    let gone = false;
    found(place).catch(nothing).then((entries) => gone || setKnown({ of: place, entries }));
    return () => void (gone = true);
  }, [place]);
  useEffect(() => setAt(0), [mention]);
  const fitting = known.of === place ? known.entries.filter((each) => fits(each, mention)).slice(0, MOST) : [];
  const current = Math.min(at, fitting.length - 1);
  const take = (/** @type {Entry|undefined} */ entry) => entry && (entry.asking ? setAsking(entry.asking) : attempt(async () => put(await entry.take())));
  steer.current = (event) => {
    if (event.key === "Escape") leave();
    else if (!fitting.length || event.shiftKey) return false;
    else if (event.key === "Enter" || event.key === "Tab") take(fitting[current]);
    else if (event.key === "ArrowDown") setAt((current + 1) % fitting.length);
    else if (event.key === "ArrowUp") setAt((current - 1 + fitting.length) % fitting.length);
    else return false;
    event.preventDefault();
    return true;
  };
  useEffect(() => () => void (steer.current = null), []);
  if (asking) return html`<${PromptForm} ...${asking} put=${put} onClose=${() => setAsking(null)} />`;
  if (!fitting.length) return null;
  return html`<div class="mentions"><div role="listbox" aria-label=${t(mention[0] === "@" ? "mention.resources" : "mention.prompts")}>
    ${fitting.map((each, index) => html`<div key=${each.key} id=${`mention-${index}`} role="option" class="option" aria-selected=${index === current ? "true" : "false"}
      onMouseMove=${() => setAt(index)} onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => take(each)}>
      <span class="option-name"><span class="clip" dir="auto">${each.label}</span></span>${each.about && html`<span class="small muted clip" dir="auto">${each.about}</span>`}</div>`)}</div>
    <p class="sr-only" role="status">${fitting[current]?.label}</p></div>`;
}

/** @param {unknown} error @returns {Entry[]} a server that does not answer completes nothing */
function nothing(error) {
  if (!(error instanceof ApiError)) throw error;
  return [];
}

/** @param {Entry} entry @param {string} mention */
function fits({ label, about }, mention) {
  const wanted = mention.slice(mention.includes(":") ? mention.indexOf(":") + 1 : 1).toLowerCase();
  return `${label} ${about}`.toLowerCase().includes(wanted);
}

/** @param {string} place  `@` or `/`, or with a server's name and a colon @returns {Promise<Entry[]>} */
async function found(place) {
  const [sign, server] = [place[0], place.slice(1).split(":", 1)[0]];
  if (!place.endsWith(":")) return servers(sign);
  return sign === "@" ? resources(server) : prompts(server);
}

/** @param {string} sign */
async function servers(sign) {
  const { data } = await api.library();
  const holding = data.filter((each) => (sign === "@" ? each.resources : each.prompts));
  return holding.map((each) => ({ key: each.name, label: each.name, about: each.title, take: async () => `${sign}${each.name}:` }));
}

/** @param {string} server @returns {Promise<Entry[]>} */
async function resources(server) {
  const { data } = await api.resources(server);
  return data.filter((each) => each.uri).map((each) => ({
    key: each.uri ?? "", label: each.title || each.name, about: each.description || each.uri || "",
    take: async () => {
      const { data: contents } = await api.resource(server, each.uri ?? "");
      await attach(contents.map((one) => asFile(one, each)));
      return "";
    },
  }));
}

/** @param {{uri: string, mimeType?: string, text?: string, blob?: string}} content @param {api.Held} held */
function asFile({ uri, mimeType, text, blob }, held) {
  const type = mimeType ?? held.mimeType ?? (blob ? "application/octet-stream" : "text/plain");
  const name = uri.split(/[/:]/).filter(Boolean).at(-1) || held.name;
  const bytes = blob === undefined ? text ?? "" : Uint8Array.from(atob(blob), (each) => each.charCodeAt(0));
  return new File([bytes], name, { type });
}

/** @param {string} server @returns {Promise<Entry[]>} */
async function prompts(server) {
  const { data } = await api.prompts(server);
  return data.map((each) => ({
    key: each.name, label: each.title || each.name, about: each.description ?? "",
    take: () => written(server, each.name, {}),
    asking: each.arguments?.length ? { server, prompt: each } : undefined,
  }));
}
