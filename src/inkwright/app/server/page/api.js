// Asking the server: JSON, and texts as they are written. The key is kept in this page's memory and nowhere else.

let key = "";

export function useKey(given) {
  key = given;
}

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function ask(path, body, signal) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const wish = body === undefined ? { headers, signal } : {
    method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
  };
  let reply;
  try {
    reply = await fetch(path, wish);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer. Is inkwright serve still running?");
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => ({}));
  throw new Problem(reply.status, said.error?.message ?? `The server answered ${reply.status}.`);
}

export async function askJson(path, body) {
  return (await ask(path, body)).json();
}

// The events of a text, those that came together as one list. A stream that ends without [DONE] was cut off.
export async function* stream(body, signal) {
  const reply = await ask("/v1/completions", { ...body, stream: true }, signal);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Problem(0, "The text was cut off.");
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    const whole = parts.map((part) => part.slice("data: ".length));
    const records = whole.filter((data) => data !== "[DONE]").map((data) => JSON.parse(data));
    yield records.filter((record) => !record.error);
    const broken = records.find((record) => record.error);
    if (broken) throw new Problem(0, broken.error.message);
    if (whole.includes("[DONE]")) return;
  }
}
