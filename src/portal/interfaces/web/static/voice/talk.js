// Speaking to Portal: one message into the composer, or hands-free, with answers read aloud and barging in.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { transcribe } from "../api/voice.js";
import { Icon } from "../icons.js";
import { useSheet } from "../sheets.js";
import { ask, running, stop, toast, turns } from "../state.js";
import { reading } from "../state/voice.js";
import { t } from "../strings.js";
import { hear, newEar } from "./hearing.js";
import { available, openMicrophone } from "./microphone.js";
import { readAloud, stopReading } from "./reading.js";

/** While an answer is heard, only what is clearly louder than its echo is somebody speaking. */
const OVER_ECHO = 2.5;

/** @param {{put: (words: string) => void, leave: () => void}} props  `put` takes what was said into the composer */
export function Talk({ put, leave }) {
  useSheet("voice");
  const [state, setState] = useState(/** @type {"asking"|"listening"|"writing"} */ ("asking"));
  const [free, setFree] = useState(false);
  const meter = useRef(/** @type {HTMLElement|null} */ (null));
  const talk = useRef(/** @type {Talking|null} */ (null));
  useEffect(() => {
    const made = (talk.current = new Talking({ put, leave, setState, level: (value) => show(meter.current, value) }));
    made.begin();
    return () => made.end();
  }, []);
  const switchFree = () => {
    setFree(!free);
    talk.current?.setFree(!free);
  };
  const word = /** @type {const} */ ({ asking: "voice.asking", listening: free ? "voice.listeningFree" : "voice.listening", writing: "voice.writing" })[state];
  return html`<div class="talk" role="group" aria-label=${t("voice.group")}>
    <span class="talk-meter" ref=${meter} aria-hidden="true"></span>
    <span class="grow small muted clip" role="status">${t(reading.value && free ? "voice.reading" : word)}</span>
    <button type="button" class="ghost" aria-pressed=${free ? "true" : "false"} onClick=${switchFree}>${t("voice.free")}</button>
    <button type="button" class="ghost icon-only" aria-label=${t("voice.cancel")} title=${t("voice.cancel")} onClick=${leave}><${Icon} name="close" /></button>
    ${!free && html`<button type="button" class="button" disabled=${state !== "listening"} onClick=${() => talk.current?.done()}>${t("voice.done")}</button>`}
  </div>`;
}

/** @param {HTMLElement|null} meter @param {number} level */
function show(meter, level) {
  if (meter) meter.style.transform = `scale(${Math.min(1, 0.25 + level * 6)})`;
}

/** What goes on between opening the microphone and closing it. */
class Talking {
  /** @param {{put: (words: string) => void, leave: () => void, setState: (state: "asking"|"listening"|"writing") => void, level: (level: number) => void}} page */
  constructor(page) {
    this.page = page;
    this.ear = newEar();
    this.free = false;
    this.busy = false;
    this.over = new AbortController();
    /** @type {import("./microphone.js").Microphone|null} */
    this.microphone = null;
    /** @type {import("./microphone.js").Take|null} */
    this.take = null;
  }

  async begin() {
    if (!available()) return this.fail(t("voice.unavailable"));
    try {
      const microphone = await openMicrophone((level, ms) => this.step(level, ms));
      if (this.over.signal.aborted) return microphone.close();
      this.microphone = microphone;
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      return this.fail(t(error.name === "NotFoundError" ? "voice.noMicrophone" : "voice.refused"));
    }
    this.listen();
  }

  /** @param {string} why */
  fail(why) {
    toast(why);
    this.page.leave();
  }

  listen() {
    this.take?.drop();
    this.take = this.microphone?.record() ?? null;
    this.page.setState("listening");
  }

  /** @param {boolean} free */
  setFree(free) {
    this.free = free;
    if (!free) stopReading();
  }

  /** @param {number} level @param {number} ms */
  step(level, ms) {
    this.page.level(level);
    const { ear, event } = hear(this.ear, level, ms, reading.peek() ? OVER_ECHO : 1);
    this.ear = ear;
    if (!this.free) return;
    if (event === "begin" && (reading.peek() || running.peek())) {
      stopReading();
      if (running.peek()) stop();
    }
    if (event === "end") this.done();
    if (event === "idle" && this.take) this.listen(); // what was silent so far is nobody's to write down
  }

  /** What was said so far is written down; then it is in the composer, or, hands-free, on its way. */
  async done() {
    const { take } = this;
    if (!take || this.busy) return;
    this.busy = true;
    this.take = null;
    this.page.setState("writing");
    try {
      const words = (await transcribe(await take.stop(), this.over.signal)).trim();
      if (this.free) this.listen();
      if (words) await this.say(words);
      else if (!this.free) this.fail(t("voice.nothing"));
    } catch (error) {
      if (this.over.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.fail(error.message);
    } finally {
      this.busy = false;
    }
  }

  /** @param {string} words */
  async say(words) {
    if (!this.free) {
      this.page.put(words);
      return this.page.leave();
    }
    ask(words, []);
    const turn = turns.peek().at(-1);
    if (turn) readAloud(turn);
  }

  end() {
    this.over.abort();
    this.take?.drop();
    this.microphone?.close();
    if (this.free) stopReading();
  }
}
