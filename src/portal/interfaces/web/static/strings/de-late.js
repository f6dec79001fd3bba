// German: the words of what is not part of the first load.
import { approvals } from "./de-approvals.js";
import { insight } from "./de-insight.js";
import { people } from "./de-people.js";
import { skills } from "./de-skills.js";
import { turns } from "./de-turns.js";
import { views } from "./de-views.js";
import { voice } from "./de-voice.js";
import { workspaces } from "./de-workspaces.js";

export const late = { ...approvals, ...insight, ...people, ...skills, ...turns, ...views, ...voice, ...workspaces };
