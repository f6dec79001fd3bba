// The button that reads an answer aloud, also while it is still written.
import { html } from "htm/preact";
import { Icon } from "../icons.js";
import { t } from "../strings.js";
import { isRead, readAloud, stopReading } from "./reading.js";

/** @param {{turn: import("../state/chat.js").TurnSignal}} props */
export function ReadAloud({ turn }) {
  const read = isRead(turn);
  const label = t(read ? "voice.silence" : "voice.read");
  return html`<button type="button" class="ghost icon-only quiet" aria-label=${label} title=${label} aria-pressed=${read ? "true" : "false"}
    onClick=${() => (read ? stopReading() : readAloud(turn))}><${Icon} name=${read ? "stop" : "sound"} /></button>`;
}
