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
