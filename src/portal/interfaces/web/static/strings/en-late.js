// English: the words of what is not part of the first load.
import { approvals } from "./en-approvals.js";
import { insight } from "./en-insight.js";
import { people } from "./en-people.js";
import { skills } from "./en-skills.js";
import { turns } from "./en-turns.js";
import { views } from "./en-views.js";
import { voice } from "./en-voice.js";
import { workspaces } from "./en-workspaces.js";

export const late = { ...approvals, ...insight, ...people, ...skills, ...turns, ...views, ...voice, ...workspaces };
