// Uses the API of a running tracker through the generated types alone: every path, field and answer below is checked by
// the compiler against the document that the program serves.
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
type Refusal = components["responses"]["Error"]["content"]["application/json"];

const [origin] = process.argv.slice(2);
if (!origin) throw new Error("usage: use.js ORIGIN");

// A browser keeps the cookie by itself; elsewhere it is kept by hand. Writes carry the token of the session.
let cookie = "";
let token = "";
const session: Middleware = {
  onRequest({ request }) {
    if (cookie) request.headers.set("cookie", cookie);
    if (token) request.headers.set("x-csrf-token", token);
    return request;
  },
  onResponse({ response }) {
    const set = response.headers.getSetCookie()[0];
    if (set) cookie = set.split(";")[0] ?? "";
  },
};
const api = createClient<paths>({ baseUrl: origin });
api.use(session);

let calls = 0;
/** The answer's content; an error of the API is an exception here. */
function ok<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  calls += 1;
  if (answer.error) throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  if (answer.data === undefined) throw new Error(`${answer.response.status} without content`);
  return answer.data;
}
/** What was refused, in the envelope that is sent unless problem+json was asked for. */
function refusal(error: Refusal | object | undefined): Refusal["error"] {
  if (!error || !("error" in error)) throw new Error("there is no refusal");
  return error.error;
}
function same(found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`found ${String(found)}, wanted ${String(wanted)}`);
}

const email = `ada-${Date.now()}@example.com`;
const account = { name: "Ada", email, password: "correct horse battery" };
const signedUp = ok(await api.POST("/api/v1/auth/sign-up", { body: account }));
same(signedUp.user.email, email);
token = signedUp.csrf_token;

const slug = `acme-${Date.now().toString(36)}`;
ok(await api.POST("/api/v1/workspaces", { body: { name: "Acme", slug } }));

const path = { workspace: slug };
const projects = "/api/v1/w/{workspace}/projects";
const project = ok(await api.POST(projects, { params: { path }, body: { name: "Rocket", key: "ROC" } }));

const issues = "/api/v1/w/{workspace}/projects/{project}/issues";
const params = { path: { ...path, project: project.id } };
const titles = ["Fuel leaks", "Window is dirty", "Radio is silent"];
for (const title of titles) {
  const issue = ok(await api.POST(issues, { params, body: { title } }));
  same(issue.title, title);
}

// Page by page, as a list is read.
const found: string[] = [];
let cursor: string | null = null;
do {
  const query: { limit: number; cursor?: string } = { limit: 2, ...(cursor === null ? {} : { cursor }) };
  const page: components["schemas"]["ListedIssuePage"] = ok(
    await api.GET(issues, { params: { ...params, query } }),
  );
  found.push(...page.items.map((issue) => issue.title));
  cursor = page.next_cursor ?? null;
} while (cursor !== null);
same(found.sort().join(), [...titles].sort().join());

// What is wrong comes back typed as well: the field, by name.
const refused = await api.POST(issues, { params, body: { title: "" } });
calls += 1;
same(refused.response.status, 422);
same(refusal(refused.error).fields["title"] !== undefined, true);

console.log(JSON.stringify({ calls, issues: found.length }));
