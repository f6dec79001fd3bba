// English: the words of what is not part of the first load.
import { approvals } from "./en-approvals.js";
import { views } from "./en-views.js";
import { workspaces } from "./en-workspaces.js";

export const late = { ...approvals, ...views, ...workspaces };
