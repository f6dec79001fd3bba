// Route names to views, each loaded when first shown. The chat is part of the first load.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Chat } from "./chat/chat.js";
import { Bar } from "./layout.js";
import { Icon } from "./icons.js";
import { moreWords, t } from "./strings.js";

/** @type {Record<string, () => Promise<any>>} each module exports `View` */
const VIEWS = {
  signin: () => import("./views/signin.js"),
  folder: () => import("./views/folder.js"),
  knowledge: () => import("./views/knowledge.js"),
  document: () => import("./views/document.js"),
  memory: () => import("./views/memory.js"),
  workspaces: () => import("./views/workspaces.js"),
  models: () => import("./views/models.js"),
  approvals: () => import("./views/approvals.js"),
  schedules: () => import("./views/schedules.js"),
  gallery: () => import("./views/gallery.js"),
  tools: () => import("./views/tools.js"),
  skills: () => import("./views/skills.js"),
  activity: () => import("./views/insight.js"),
  settings: () => import("./views/settings.js"),
  manual: () => import("./views/manual.js"),
  welcome: () => import("./views/welcome.js"),
};

/** @param {{route: import("./types.js").Route}} props */
export function View({ route }) {
  if (route.name === "chat") {
    const { query } = route;
    return html`<${Chat} id=${route.id} folder=${query.get("folder")} model=${query.get("model")} />`;
  }
  return html`<${Lazy} key=${route.name} route=${route} />`;
}

/** @param {{route: import("./types.js").Route}} props */
function Lazy({ route }) {
  const [loaded, setLoaded] = useState(/** @type {any} */ (null));
  const [failed, setFailed] = useState(false);
  const load = () => {
    setFailed(false);
    Promise.all([VIEWS[route.name](), moreWords()]).then(([module]) => setLoaded(() => module.View), () => setFailed(true));
  };
  useEffect(() => {
    if (route.name in VIEWS) load();
  }, []);
  if (!(route.name in VIEWS)) return html`<${Notice} text=${t("app.lost")}><a class="button" href="/">${t("app.home")}</a></${Notice}>`;
  if (failed) return html`<${Notice} text=${t("error.unreachable")}><button type="button" class="button" onClick=${load}>${t("common.retry")}</button></${Notice}>`;
  return loaded && html`<${loaded} route=${route} />`;
}

/** @param {{text: string, children?: any}} props */
function Notice({ text, children }) {
  return html`<${Bar} title=${t("app.name")} />
    <div class="page"><div class="page-inner"><div class="notice" role="alert"><${Icon} name="info" /><p class="grow">${text}</p>${children}</div></div></div>`;
}
