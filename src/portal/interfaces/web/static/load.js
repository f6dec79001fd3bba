// Loading what one view alone shows.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api.js";
import { signedOut } from "./state.js";

/**
 * What `load` gives: null until it is there; `failed` tells why it is not. `reload` asks again, keeping what is shown.
 * @template T
 * @param {() => Promise<T>} load
 * @param {unknown[]} [inputs]  asks again when one of these changes
 * @returns {{data: T|null, failed: ApiError|null, reload: () => Promise<void>}}
 */
export function useLoad(load, inputs = []) {
  const [state, setState] = useState(/** @type {{data: T|null, failed: ApiError|null}} */ ({ data: null, failed: null }));
  const newest = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++newest.current;
    try {
      const data = await load();
      if (mine === newest.current) setState({ data, failed: null });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) signedOut();
      if (mine === newest.current) setState((old) => ({ data: old.data, failed: error }));
    }
  }, inputs);
  useEffect(() => {
    reload();
    return () => void newest.current++;
  }, inputs);
  return { ...state, reload };
}

/**
 * A list that comes in pages: `more` reads on, `reload` looks again as far as it has been read, `change` replaces what is shown.
 * @template T
 * @param {(query: {limit: number, cursor: string|null}) => Promise<{data: T[], next: string|null}>} load
 * @param {unknown[]} inputs  begins anew when one of these changes
 * @param {number} [page]
 */
export function usePages(load, inputs, page = 100) {
  /** @typedef {{data: T[], next: string|null, loaded: boolean, failed: ApiError|null}} Pages */
  const [state, setState] = useState(/** @type {Pages} */ ({ data: [], next: null, loaded: false, failed: null }));
  const newest = useRef(0);
  const shown = useRef(state);
  shown.current = state;
  /** @param {number} wanted @param {T[]} before @param {string|null} from */
  const read = async (wanted, before, from) => {
    const mine = ++newest.current;
    try {
      const data = before.slice();
      let next = from;
      do {
        const some = await load({ limit: Math.min(200, Math.max(page, wanted - data.length)), cursor: next });
        data.push(...some.data);
        next = some.next;
      } while (next && data.length < wanted && mine === newest.current);
      if (mine === newest.current) setState({ data, next, loaded: true, failed: null });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) signedOut();
      if (mine === newest.current) setState((old) => ({ ...old, loaded: true, failed: error }));
    }
  };
  const reload = useCallback(() => read(Math.max(page, shown.current.data.length), [], null), inputs);
  const more = useCallback(async () => {
    const { data, next } = shown.current;
    if (next) await read(data.length + 1, data, next);
  }, inputs);
  useEffect(() => {
    setState((old) => ({ ...old, loaded: false }));
    read(page, [], null);
    return () => void newest.current++;
  }, inputs);
  const change = useCallback((/** @type {(data: T[]) => T[]} */ to) => setState((old) => ({ ...old, data: to(old.data) })), []);
  return { ...state, more, reload, change };
}

/** Runs `work` when an element comes near the window. @param {() => unknown} work @returns {{current: any}} for its `ref` */
export function useNear(work) {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  const newest = useRef(work);
  newest.current = work;
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && newest.current(), { rootMargin: "600px" });
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return element;
}

/**
 * A number that changes with what a signal says, at most every so often: for looking again while much happens.
 * @param {import("@preact/signals").ReadonlySignal<unknown>} signal @param {number} [milliseconds]
 */
export function useTicks(signal, milliseconds = 800) {
  const [ticks, setTicks] = useState(0);
  const pace = useRef({ next: 0, timer: /** @type {ReturnType<typeof setTimeout>|undefined} */ (undefined) });
  const news = signal.value;
  const first = useRef(news);
  useEffect(() => {
    if (first.current === news || pace.current.timer) return;
    const tick = () => {
      pace.current = { next: performance.now() + milliseconds, timer: undefined };
      setTicks((old) => old + 1);
    };
    pace.current.timer = setTimeout(tick, Math.max(0, pace.current.next - performance.now()));
  }, [news]);
  useEffect(() => () => clearTimeout(pace.current.timer), []);
  return ticks;
}
