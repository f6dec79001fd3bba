// Passing messages at the foot of the page, with at most one action such as undo; and the spoken announcements.
import { html } from "htm/preact";
import { announcement, dismissToast, toasts } from "./state.js";
import { t } from "./strings.js";
import { Icon } from "./icons.js";

export function Toasts() {
  return html`<div class="toasts" role="status">
    ${toasts.value.map((entry) => html`<div class="toast" key=${entry.id}>
      <span class="grow">${entry.text}</span>
      ${entry.action && html`<button type="button" class="ghost" onClick=${() => {
        dismissToast(entry.id);
        entry.run?.();
      }}>${entry.action}</button>`}
      <button type="button" class="ghost icon-only" aria-label=${t("common.dismiss")} onClick=${() => dismissToast(entry.id)}>
        <${Icon} name="close" />
      </button>
    </div>`)}
  </div>`;
}

export function Announcer() {
  return html`<div class="sr-only" aria-live="polite">${announcement.value}</div>`;
}
