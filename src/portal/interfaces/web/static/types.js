// The shapes the page handles, as JSDoc types; nothing runs here.
/**
 * @typedef {Record<string, any> & {type: string, id?: string}} Item  An Open Responses item.
 * @typedef {{message: string, type?: string|null, code?: string|null, param?: string|null, status?: number}} Failure
 * @typedef {Record<string, any> & {id: string, status: string, model: string, output: Item[]}} ResponseResource
 * @typedef {{
 *   response: ResponseResource, input: Item[], siblings: string[], route: Record<string, any>|null,
 *   feedback: number, last_seq: number, ms: number|null, estimated_usage: boolean,
 * }} TurnView  One turn as /portal/v1 sends it.
 * @typedef {{state: string, detail?: any, since: number}} Progress
 * @typedef {{
 *   key: string, id: string|null, status: string, model: string, input: Item[], output: Item[],
 *   previous: string|null, siblings: string[], route: Record<string, any>|null, feedback: number, lastSeq: number,
 *   ms: number|null, usage: Record<string, any>|null, estimated: boolean, error: Failure|null,
 *   incomplete: string|null, progress: Progress|null, thinking: Record<string, {from: number, to: number|null}>,
 *   tools: Record<string, {since: number, detail: string}>,
 *   createdAt: number, stored: boolean, connection: "live"|"retrying"|null,
 *   collections: string[],
 * }} Turn  One turn as the page shows it; immutable, replaced on every change.
 * @typedef {{
 *   id: string, title: string, title_source: string, pinned: boolean, folder_id: string|null, model: string|null,
 *   head: string|null, created_at: number, updated_at: number, running: string|null, snippet?: string, door?: string|null,
 * }} Conversation
 * @typedef {{file_id: string, filename: string, content_type: string, size: number, width?: number, height?: number}} MediaFile
 * @typedef {{
 *   id: string, kind: "image"|"video"|"music", workflow: string, engine: string, status: "queued"|"running"|"done"|"failed"|"cancelled",
 *   prompt: string, values: Record<string, any>, pictures: Record<string, string>, progress: number, detail: string,
 *   error: string|null, code: string|null, files: MediaFile[], call_id: string|null, created_at: number,
 * }} MediaJob
 * @typedef {{name: string, title: string, kind: string, description: string, ready: boolean, needs: string|null}} MediaWorkflow
 * @typedef {{id: string, name: string, instructions: string, model: string|null, file_ids: string[], created_at: number}} Folder
 * @typedef {{
 *   id: string, backend: string, kind: string, capabilities: string[], context_window: number|null,
 *   parameters: number|null, quantization: string|null, size: number|null, family: string|null,
 *   loaded: boolean|null, description: string|null,
 *   speed_seen: {tokens_per_second: number, first_token_seconds: number|null}|null,
 * }} Model
 * @typedef {{name: string, kind: string, url: string, status: "up"|"down"|"waiting", error: string|null, models: number, source: string,
 *   running: number, queued: number, max_concurrency: number, across_servers: boolean, running_elsewhere: number, resting: {model: string, until: number, failures: number}[]}} BackendView
 * @typedef {{
 *   key: string, name: string, size: number, kind: "image"|"file", file: File|null, preview: string|null,
 *   sent: number, id: string|null, data: string|null, error: string|null,
 * }} Attachment  A file in the composer: uploading until `id`, `data` (in a temporary chat) or `error` is set.
 * @typedef {{
 *   title: string, description: string, task: string, persona: string, instructions: string, prefer: string[],
 *   strategy: string, parameters: Record<string, any>, tools: string[], knowledge: boolean, collections: string[], memory: boolean,
 *   users: string[], max_output_tokens: number|null, max_rounds: number|null, max_seconds: number|null, max_tokens: number|null,
 * }} WorkspaceFields
 * @typedef {WorkspaceFields & {
 *   name: string, source: "built-in"|"settings"|"page", mine: boolean, replaces: string|null, advice: string|null,
 *   now: {model: string|null, backend: string|null, reason: string},
 * }} Workspace
 * @typedef {{name: string, title: string, description: string, prompt: string, task: string|null, temperature: number|null, test: string}} Persona
 * @typedef {{entry: string, name: string|null, taken: boolean, notes: string[]}} Imported
 * @typedef {{prompt: string, answer: string, problems: string[]|null, decision: Record<string, any>, ms: number}} Trial
 * @typedef {{
 *   id: string, response_id: string, conversation_id: string|null, workspace: string, tool: string, toolset: string, risk: string,
 *   arguments: Record<string, any>, why: string, question: boolean, status: "pending"|"approved"|"denied"|"expired"|"used",
 *   created_at: number, expires_at: number, decided_at: number|null, answer: string, extents: string[], scope: string,
 *   call_id: string|null,
 * }} Approval  A question to a person; with `call_id` that call waits for the answer.
 * @typedef {{approve: boolean, extent?: string, arguments?: Record<string, any>, answer?: string, content?: Record<string, any>}} Verdict
 * @typedef {{id: string, tool: string, extent: string, value: string, created_at: number}} Grant
 * @typedef {{id: string, at: number, action: string, subject: string, detail: Record<string, any>}} AuditLine
 * @typedef {{name: string, title: string, description: string, risk: string, parameters: Record<string, any>}} Tool
 * @typedef {{name: string, title: string, kind: string, status: string, detail: string, tools: Tool[]}} Toolset
 * @typedef {{
 *   name: string, description: string, licence: string, compatibility: string, allowed_tools: string, metadata: Record<string, string>,
 *   folder: string, installed: boolean, trusted: boolean, instructions?: string, replaces?: boolean,
 *   files?: {path: string, size: number, script: boolean}[],
 * }} Skill
 * @typedef {{
 *   name: string, kind?: string, title?: string, source: "settings"|"file"|"added", where?: string, detail: string, auth?: string, trusted?: boolean,
 *   status: "up"|"starting"|"down"|"asleep"|"off"|"wrong", tools: Tool[],
 * }} ToolServer
 * @typedef {{in_progress: number, completed: number, failed: number, cancelled: number, total: number}} FileCounts
 * @typedef {{id: string, name: string, description?: string, created_at: number, last_active_at: number, usage_bytes: number, file_counts: FileCounts, conversation?: string|null}} Collection  `conversation` is whose files it holds.
 * @typedef {{
 *   file_id: string, collection: string, filename: string, status: "in_progress"|"completed"|"failed"|"cancelled", progress: number,
 *   error: {code: string, message: string}|null, size: number, sha256: string, passages_count: number, attributes: Record<string, any>, place: string,
 *   modified: number|null, created_at: number,
 * }} KnowledgeDocument
 * @typedef {{id: string, position: number, text: string, heading: string[], page: number|null, start: number, end: number}} Passage
 * @typedef {Passage & {score: number, weak: boolean, document: KnowledgeDocument}} PassageFound
 * @typedef {{
 *   id: string, collection: string, kind: "folder"|"url", place: string, error: string, files: number|null, left_out: number|null,
 *   created_at: number, checked_at: number|null,
 * }} PlaceFollowed
 * @typedef {{
 *   key: string, collection: string, file: File, name: string, path: string, state: "waiting"|"sending"|"adding"|"added"|"known"|"failed",
 *   sent: number, id: string|null, error: string|null,
 * }} Sending  A file on its way into a collection.
 * @typedef {{
 *   name: string, wanted: string, embedded: number, waiting: number, detail: string, choices: string[], suggested: string, available: boolean,
 * }} Embedder  The one in use, the one that is being changed to, how many passages have its vectors and how many wait, and those there are.
 * @typedef {{
 *   id: string, kind: "fact"|"preference"|"episode", text: string, scope: string, source: string, created_at: number, changed_at: number,
 *   happened_at: number|null, confidence: number, status: "active"|"proposed"|"superseded", superseded_by: string|null,
 * }} Memory
 * @typedef {{enabled: boolean, conversations: boolean, propose: boolean}} MemorySwitches
 * @typedef {{
 *   name: string, prompt: string, when: string, zone: string, workspace: string, continued: boolean, catch_up: "skip"|"once"|"all", jitter: number,
 *   parallel: number, targets: string[], tools: string[], signature: ""|"github"|"stripe"|"standard", secret: string, paused?: boolean,
 * }} ScheduleFields
 * @typedef {Omit<ScheduleFields, "secret"> & {
 *   id: string, kind: "cron"|"interval"|"once"|"hook", timing: string, paused: boolean, next_at: number|null, created_at: number, last_run: ScheduleRun|null,
 * }} Schedule  A schedule or a webhook.
 * @typedef {{when: string, kind: string, timing: string, zone: string, next: number[]}} SchedulePlan
 * @typedef {{
 *   id: string, status: "queued"|"starting"|"running"|"waiting"|"completed"|"failed"|"cancelled"|"unanswered"|"unknown"|"missed",
 *   cause: "time"|"late"|"person"|"hook", due_at: number, started_at: number|null, ended_at: number|null, error: string, conversation_id: string,
 *   response_id: string, deliveries: {target: string, status: "pending"|"sending"|"sent"|"failed", error: string}[],
 * }} ScheduleRun
 * @typedef {{name: string, id: string|null, section: string|null, path: string, hash: string, query: URLSearchParams}} Route
 */
export {};
