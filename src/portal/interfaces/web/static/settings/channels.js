// Chat platforms: how each of them is, who is linked, who asks to be let in, and a code that links.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import * as api from "../api/channels.js";
import { ApiError } from "../api.js";
import { attempt, channelNews, toast } from "../state.js";
import { moment } from "../format.js";
import { t } from "../strings.js";
import { useLoad, useTicks } from "../load.js";
import { CopyLine } from "./copy.js";
import { Qr } from "./qr.js";

/** Only those who run this installation see who asks. */
const asking = () => api.pairings().catch((error) => {
  if (error instanceof ApiError && error.status === 403) return { data: [] };
  throw error;
});

export function Channels() {
  const ticks = useTicks(channelNews);
  const all = useLoad(api.channels, [ticks]), linked = useLoad(api.links, [ticks]), asks = useLoad(asking, [ticks]), chats = useLoad(api.chats, [ticks]);
  if (all.failed) return html`<p class="bad">${t("settings.loadFailed")}</p>`;
  if (!all.data) return null;
  if (!all.data.data.length) return html`<p>${t("channels.none")}</p><p><a href="/manual/channels">${t("channels.how")}</a></p>`;
  return html`<p class="muted">${t("channels.about")}</p>
    <ul class="lines">${all.data.data.map((one) => html`<${State} key=${one.name} channel=${one} />`)}</ul>
    ${Boolean(asks.data?.data.length) && html`<section class="column" aria-labelledby="channels-asks"><h3 id="channels-asks">${t("channels.asks")}</h3><p class="muted">${t("channels.asksAbout")}</p>
      <ul class="lines">${asks.data?.data.map((one) => html`<${Asks} key=${one.id} pairing=${one} onDone=${asks.reload} />`)}</ul></section>`}
    <section class="column" aria-labelledby="channels-linked"><h3 id="channels-linked">${t("channels.linked")}</h3>
      ${linked.data?.data.length ? html`<ul class="lines">${linked.data.data.map((one) => html`<${Linked} key=${one.id} link=${one} onGone=${linked.reload} />`)}</ul>`
        : html`<p class="muted">${t("channels.nobody")}</p>`}<${NewCode} /></section>
    <${Groups} chats=${rooms(chats.data?.data ?? [])} onDone=${chats.reload} />`;
}

/** A line for each group, however many threads there are in it: they are answered alike. @param {api.Chat[]} chats */
function rooms(chats) {
  const found = /** @type {Map<string, api.Chat>} */ (new Map());
  for (const one of chats) if (!one.direct && (one.target === one.room || !found.has(one.room))) found.set(one.room, one);
  return [...found.values()];
}

/** @param {{chats: api.Chat[], onDone: () => void}} props */
function Groups({ chats, onDone }) {
  if (!chats.length) return null;
  return html`<section class="column" aria-labelledby="channels-groups"><h3 id="channels-groups">${t("channels.groups")}</h3><p class="muted">${t("channels.groupsAbout")}</p>
    <ul class="lines">${chats.map((one) => html`<${Group} key=${one.room} chat=${one} onDone=${onDone} />`)}</ul></section>`;
}

/** @param {{chat: api.Chat, onDone: () => void}} props */
function Group({ chat, onDone }) {
  const name = chat.title || chat.room;
  const change = (/** @type {any} */ event) => attempt(async () => {
    await api.answerIn(chat.room, event.target.checked ? "always" : "mentioned");
    onDone();
  });
  return html`<li class="line"><div class="grow"><p class="clip"><strong dir="auto">${name}</strong></p><p class="small muted">${chat.channel}</p></div>
    <label class="row"><input type="checkbox" class="check" checked=${chat.mode === "always"} onChange=${change} aria-label=${t("channels.alwaysIn", { name })} />${t("channels.always")}</label></li>`;
}

/** @param {{channel: api.Channel}} props */
function State({ channel }) {
  const bad = !["up", "starting"].includes(channel.state);
  return html`<li class="line"><div class="grow"><p><strong>${channel.name}</strong> <span class=${bad ? "tag bad" : "tag"}>${t(`channels.state.${channel.state}`)}</span></p>
    ${channel.detail && html`<p class="small muted" dir="auto">${channel.detail}</p>`}</div></li>`;
}

/** @param {{pairing: api.Pairing, onDone: () => void}} props */
function Asks({ pairing, onDone }) {
  const name = pairing.name || pairing.sender;
  /** @param {boolean} yes */
  const decide = (yes) => attempt(async () => {
    await api.decidePairing(pairing.id, yes);
    toast(t(yes ? "channels.letIn" : "channels.refused", { name }));
    onDone();
  });
  return html`<li class="line"><div class="grow"><p class="clip"><strong dir="auto">${name}</strong></p>
    <p class="small muted" dir="auto">${[pairing.channel, pairing.sender, pairing.place].filter(Boolean).join(" · ")}</p></div>
    <button type="button" class="button" aria-label=${t("channels.refuseNamed", { name })} onClick=${() => decide(false)}>${t("channels.refuse")}</button>
    <button type="button" class="button primary" aria-label=${t("channels.admitNamed", { name })} onClick=${() => decide(true)}>${t("channels.admit")}</button></li>`;
}

/** @param {{link: api.Link, onGone: () => void}} props */
function Linked({ link, onGone }) {
  const name = link.name || link.sender;
  const end = () => attempt(async () => {
    await api.unlink(link.id);
    toast(t("channels.unlinked", { name }));
    onGone();
  });
  return html`<li class="line"><div class="grow"><p class="clip"><strong dir="auto">${name}</strong></p>
    <p class="small muted">${[link.channel, t("channels.since", { when: moment(link.created_at) })].join(" · ")}</p></div>
    <button type="button" class="button danger" aria-label=${t("channels.unlinkNamed", { name })} onClick=${end}>${t("channels.unlink")}</button></li>`;
}

function NewCode() {
  const [made, setMade] = useState(/** @type {api.Code|null} */ (null));
  const make = () => attempt(async () => setMade(await api.makeCode()));
  if (!made) return html`<div class="row"><button type="button" class="button" onClick=${make}>${t("channels.codeMake")}</button></div>`;
  return html`<div class="column" role="status"><p>${t("channels.codeText")}</p><${CopyLine} text=${`/link ${made.code}`} />
    <p class="small muted">${t("settings.linkUntil", { when: moment(made.expires_at) })}</p>
    ${made.invitations.map((one) => html`<div class="column" key=${one.channel}><p><a href=${one.url} rel="noreferrer" target="_blank">${t("channels.open", { name: one.channel })}</a></p>
      <${Qr} text=${one.url} label=${t("channels.qr", { name: one.channel })} /></div>`)}</div>`;
}
