// Calls about skills, for the view of them.
import { json, P, path } from "../api.js";

/** @typedef {import("../types.js").Skill} Skill @typedef {{file_id?: string, url?: string}} SkillSource */
/** @returns {Promise<{data: Skill[]}>} */
export const skills = () => json("GET", `${P}/skills`);
/** @param {string} name @returns {Promise<Skill>} */
export const skill = (name) => json("GET", `${P}/skills/${path(name)}`);
/** @param {SkillSource} source @returns {Promise<{data: Skill[]}>} */
export const lookAtSkills = (source) => json("POST", `${P}/skills/look`, source);
/** @param {SkillSource & {names: string[]}} wanted @returns {Promise<{data: Skill[]}>} */
export const installSkills = (wanted) => json("POST", `${P}/skills`, wanted);
/** @param {string} name */
export const removeSkill = (name) => json("DELETE", `${P}/skills/${path(name)}`);
