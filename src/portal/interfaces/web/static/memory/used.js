// Memories that an answer used, to open, correct and forget where they show; and the past conversations it looked into.
import { html } from "htm/preact";
import * as api from "../api.js";
import * as library from "../api/memory.js";
import { memoryNews } from "../state.js";
import { conversationPath } from "../router.js";
import { Icon } from "../icons.js";
import { useLoad, useTicks } from "../load.js";
import { useSheet } from "../sheets.js";
import { t } from "../strings.js";
import { MemoryRow } from "./row.js";

/** @param {{ids: string[], turns: {conversation_id: string, response_id: string}[]}} props */
export function UsedMemories({ ids, turns }) {
  useSheet("knowledge");
  const ticks = useTicks(memoryNews);
  const { data, failed, reload } = useLoad(async () => (ids.length ? (await library.memoriesOf(ids)).data : []), [ids.join(), ticks]);
  const gone = data ? ids.length - data.length : 0;
  const conversations = [...new Set(turns.map((turn) => turn.conversation_id))];
  return html`${failed && html`<p class="bad small">${t("settings.loadFailed")}</p>`}
    ${data && data.length > 0 && html`<ul class="lines">${data.map((one) => html`<${MemoryRow} key=${one.id} one=${one} onChanged=${reload} />`)}</ul>`}
    ${gone > 0 && html`<p class="small muted">${t("recalled.gone", { n: gone })}</p>`}
    ${conversations.length > 0 && html`<ul class="plain used-conversations">${conversations.map((id) => html`<li key=${id}><${Conversation} id=${id} /></li>`)}</ul>`}
    <p class="small"><a href="/memory">${t("recalled.all")}</a></p>`;
}

/** @param {{id: string}} props */
function Conversation({ id }) {
  const { data, failed } = useLoad(() => api.conversation(id), [id]);
  if (failed) return html`<span class="small muted">${t("recalled.conversationGone")}</span>`;
  return html`<a class="row" href=${conversationPath(id)}><${Icon} name="chat" /><span class="clip" dir="auto">${data?.title || t("recalled.conversation")}</span></a>`;
}
