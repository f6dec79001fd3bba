// Every action of the page by name, for the command palette.
import {
  chat, chatModels, chooseModel, compact, drawer, folders, listedConversation, openDrawer, openOverlay, pin, prefer, railOpen,
  refreshModels, remove, route, setRailOpen, signOut, startSelecting, me } from "../state.js";
import { navigate } from "../router.js";
import { LANGUAGES, language, t } from "../strings.js";
import { focusSearch, KEYS } from "../shortcuts.js";

/** @typedef {{id: string, icon: string, label: string, keys?: string[], run: () => unknown}} Command */

/** @returns {Command[]} */
export function commands() {
  return [...conversationCommands(), ...places(), ...pageCommands(), ...folderCommands(), ...modelCommands()];
}

/** @returns {Command[]} about the conversation on show */
function conversationCommands() {
  const id = route.value.name === "chat" ? chat.value.id : null;
  if (!id) return [];
  const pinned = listedConversation(id)?.pinned ?? false;
  return [
    { id: "rename", icon: "edit", label: t("palette.rename"), run: () => openOverlay({ kind: "rename", id, title: chat.value.title }) },
    { id: "pin", icon: "pin", label: pinned ? t("palette.unpin") : t("palette.pin"), run: () => pin([id], !pinned) },
    ...(me.value?.channels?.length ? [{ id: "continue", icon: "send", label: t("palette.continue"), run: () => openOverlay({ kind: "continue", id }) }] : []),
    { id: "export", icon: "download", label: t("export.title"), run: () => openOverlay({ kind: "export", id }) },
    { id: "share", icon: "external", label: t("share.title"), run: () => openOverlay({ kind: "share", id }) },
    { id: "move", icon: "folder", label: t("palette.move"), run: () => openOverlay({ kind: "move", ids: [id] }) },
    { id: "delete", icon: "trash", label: t("palette.delete"), run: () => remove([id]) },
  ];
}

/** @returns {Command[]} */
function places() {
  /** @type {[string, string, string, string[]?][]} */
  const all = [
    ["/", "plus", t("rail.new"), KEYS.newChat],
    ["/workspaces", "workspace", t("workspaces.title")],
    ["/workspaces/~new", "plus", t("workspaces.new")],
    ["/knowledge", "library", t("knowledge.title")],
    ["/memory", "memory", t("memory.title")],
    ["/models", "model", t("models.title")],
    ["/approvals", "shield", t("approvals.title")],
    ["/schedules", "clock", t("schedules.title")],
    ["/schedules/~new", "plus", t("schedules.new")],
    ["/gallery", "image", t("media.title")],
    ["/tools", "tool", t("tools.title")],
    ["/skills", "bulb", t("skills.title")],
    ["/manual", "book", t("manual.title")],
    ["/settings", "settings", t("common.settings")],
    ["/settings/keys", "key", t("settings.keys")],
    ["/settings/devices", "external", t("settings.devices")],
    ["/settings/files", "file", t("files.title")],
    ["/settings/usage", "chart", t("settings.usage")],
    ["/welcome", "bulb", t("welcome.title")],
  ];
  return all.map(([address, icon, label, keys]) => ({ id: address, icon, label, keys, run: () => navigate(address) }));
}

/** @returns {Command[]} */
function pageCommands() {
  return [
    { id: "search", icon: "search", label: t("rail.search"), keys: KEYS.search, run: focusSearch },
    { id: "select", icon: "check", label: t("rail.select"), run: () => showRail(startSelecting) },
    { id: "newFolder", icon: "folder", label: t("folder.new"), run: () => openOverlay({ kind: "newFolder" }) },
    { id: "rail", icon: "panel", label: t("palette.rail"), run: () => (compact.value ? openDrawer(!drawer.value) : setRailOpen(!railOpen.value)) },
    { id: "light", icon: "bulb", label: t("palette.light"), run: () => prefer({ theme: "light" }) },
    { id: "dark", icon: "ghost", label: t("palette.dark"), run: () => prefer({ theme: "dark" }) },
    { id: "system", icon: "settings", label: t("palette.system"), run: () => prefer({ theme: "system" }) },
    ...Object.entries(LANGUAGES).filter(([code]) => code !== language()).map(([code, name]) => ({
      id: `language-${code}`, icon: "info", label: t("palette.language", { name }), run: () => prefer({ language: code }),
    })),
    { id: "refresh", icon: "again", label: t("models.refresh"), run: refreshModels },
    { id: "keys", icon: "keyboard", label: t("keysHelp.keys"), keys: KEYS.help, run: () => openOverlay({ kind: "keys" }) },
    { id: "signOut", icon: "right", label: t("settings.signOut"), run: signOut },
  ];
}

/** @returns {Command[]} */
const folderCommands = () =>
  folders.value.map(({ id, name }) => ({ id, icon: "folder", label: t("palette.folder", { name }), run: () => navigate(`/folders/${encodeURIComponent(id)}`) }));

/** @returns {Command[]} */
const modelCommands = () =>
  route.value.name === "chat"
    ? chatModels.value.map(({ id }) => ({ id: `model-${id}`, icon: "model", label: t("palette.useModel", { model: id }), run: () => chooseModel(id) }))
    : [];

/** Do something in the list, which may have to be shown first. @param {() => void} work */
function showRail(work) {
  if (compact.value) openDrawer(true);
  else setRailOpen(true);
  requestAnimationFrame(() => work());
}

/**
 * The commands whose words all occur in the label, those that begin with the text first.
 * @param {Command[]} all @param {string} text
 */
export function matching(all, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = all.filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
  return hits.sort((a, b) => Number(b.label.toLowerCase().startsWith(words[0] ?? "")) - Number(a.label.toLowerCase().startsWith(words[0] ?? "")));
}
