// Reads a growing answer to screen readers sentence by sentence, and nothing twice.
import { useEffect, useRef } from "preact/hooks";
import { announce, lastTurn } from "../state.js";
import { answerText, isRunning } from "../turns.js";

export function Speech() {
  const spoken = useRef({ key: "", length: 0, following: false });
  const turn = lastTurn.value;
  useEffect(() => {
    if (!turn) return;
    const state = spoken.current;
    const going = isRunning(turn);
    if (state.key !== turn.key) spoken.current = { key: turn.key, length: going ? 0 : Infinity, following: going };
    const text = answerText(turn);
    const from = Math.min(spoken.current.length, text.length);
    const fresh = text.slice(from);
    const whole = going ? (/^[\s\S]*[.!?:。！？](?=\s)|^[\s\S]*\n/.exec(fresh)?.[0] ?? "") : fresh;
    if (!whole.trim() || !spoken.current.following) return;
    spoken.current.length = from + whole.length;
    announce(whole.replace(/```[\s\S]*?(?:```|$)|[*_`#>|$]/g, " ").trim());
  });
  return null;
}
