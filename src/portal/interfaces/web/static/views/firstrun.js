// The empty conversation while no model of the person's own is there. Most visits never need this: loaded when shown.
import { lazy } from "../lazy.js";

export const FirstRun = lazy(async () => (await import("./ways.js")).FirstSteps);
