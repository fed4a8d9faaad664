// The playground: write, watch, look behind each token, branch. Draws nothing itself; see pictures.js.

import { ask, askJson, stream, useKey } from "./api.js";
import { bars, make, percent, visible } from "./pictures.js";
import { watchRun } from "./run.js";
import { bits, cut, tint } from "./sampling.js";

const $ = (id) => document.getElementById(id);
const SETTINGS = { temperature: 0.8, top_k: 0, top_p: 1, tokens: 400, seed: 1337 };
const ROWS = 12;

let models = [];
let forced = []; // ids that a person chose, and all before them: where the next text goes on from
let text = blank(); // start: the ids of the beginning; tokens: what came after it, the first `forced` of them chosen
let history = [];
let here = -1; // the token that is looked at
let seen = null; // the distribution behind it
let all = false; // whether its whole table is shown
let writing = null; // the AbortController of the text that is being written

// ---------------------------------------------------------------- settings and the address bar

const model = () => models.find((one) => one.name === $("model").value) ?? models[0];

function settings() {
  const found = {};
  for (const [name, usual] of Object.entries(SETTINGS)) {
    const field = $(name);
    const value = field.value === "" ? NaN : Number(field.value);
    const low = Number(field.min);
    const high = Math.min(Number(field.max), Number.MAX_SAFE_INTEGER);
    found[name] = Number.isFinite(value) ? Math.min(Math.max(value, low), high) : usual;
  }
  return found;
}

function remember() {
  const kept = new URLSearchParams({ model: model().name, prompt: $("prompt").value, ...settings() });
  if (forced.length) kept.set("from", forced.join("."));
  window.history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  if (models.some((one) => one.name === kept.get("model"))) $("model").value = kept.get("model");
  $("prompt").value = kept.get("prompt") ?? "";
  for (const [name, usual] of Object.entries(SETTINGS)) {
    const given = kept.get(name);
    $(name).value = given !== null && Number.isFinite(Number(given)) ? Number(given) : usual;
  }
  forced = (kept.get("from") ?? "").split(".").filter((id) => /^\d+$/.test(id)).map(Number);
  showSettings();
}

function showSettings() {
  const now = settings();
  $("temperature-shown").textContent = now.temperature === 0 ? "0, always the likeliest" : now.temperature;
  $("top_k-shown").textContent = now.top_k === 0 ? "off" : now.top_k;
  $("top_p-shown").textContent = now.top_p === 1 ? "off" : now.top_p;
}

function showModel() {
  const now = model();
  document.title = `${now.name} · Inkwright`;
  const facts = [now.about, `${now.parameters.toLocaleString("en")} parameters`, `sees ${now.block_size} tokens`,
    `${now.vocab_size} different (${now.tokenizer})`];
  $("about").textContent = facts.join(" · ");
}

// ---------------------------------------------------------------- writing

function blank() {
  return { prompt: $("prompt").value, forced: [...forced], start: [], tokens: [], length: 0 };
}

async function write() {
  writing?.abort();
  const mine = (writing = new AbortController());
  if (text.tokens.length) history.push(text);
  const [before, now, name] = [$("prompt").value, settings(), model().name];
  clear();
  remember();
  busy(true);
  try {
    text.start = before ? (await askJson("/tokenize", { model: name, content: before })).tokens : model().start_ids;
    if (mine.signal.aborted) return;
    await showForced(name);
    const prompt = forced.length ? [...text.start, ...forced] : before;
    const wish = { model: name, prompt, max_tokens: now.tokens, seed: now.seed, temperature: now.temperature,
      top_k: now.top_k, top_p: now.top_p, logprobs: 0, return_token_ids: true };
    await receive(stream(wish, mine.signal), mine);
  } catch (error) {
    if (error.name !== "AbortError" && writing === mine) complain(error);
  } finally {
    if (writing === mine) {
      writing = null;
      busy(false);
    }
  }
}

async function receive(events, mine) {
  const began = performance.now();
  let count = 0;
  for await (const together of events) {
    if (mine.signal.aborted) return;
    const box = $("text"); // looked at once for all of them: each look lays out the whole text anew
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
    for (const event of together) {
      for (const warning of event.warnings ?? []) $("notes").append(make("li", {}, warning));
      for (const choice of event.choices) count += add(choice);
    }
    if (atEnd) box.scrollTop = box.scrollHeight;
    const seconds = (performance.now() - began) / 1000;
    $("speed").textContent = `${count.toLocaleString("en")} tokens, ${Math.round(count / seconds).toLocaleString("en")} a second`;
    await new Promise((go) => setTimeout(go)); // else nobody hears a click on Stop before the text is at its end
  }
}

// A piece of the text. Offsets count characters, and the words before the first token belong to the one before it.
function add({ text: words, token_ids: ids, logprobs }) {
  const characters = Array.from(words);
  const offsets = logprobs.text_offset;
  const shown = text.length;
  const upTo = (i) => (i < offsets.length ? Math.max(0, offsets[i] - shown) : characters.length);
  const last = text.tokens.at(-1);
  if (upTo(0) > 0 && last) {
    last.text += characters.slice(0, upTo(0)).join("");
    last.element.textContent = last.text;
  }
  ids.forEach((id, i) => show({ id, text: characters.slice(upTo(i), upTo(i + 1)).join(""), logprob: logprobs.token_logprobs[i] }));
  text.length = shown + characters.length;
  return ids.length;
}

function show(token) {
  const number = text.tokens.length;
  const kind = `token ${tint(token.logprob)}${token.chosen ? " chosen" : ""}${token.text === "\n" ? " newline" : ""}`;
  token.element = make("span", { class: kind, id: `t${number}`, role: "option", "data-i": number, "aria-selected": "false" }, token.text);
  text.tokens.push(token);
  $("text").append(token.element);
  if (number === 0) $("empty").hidden = true;
}

// The tokens that a branch begins with, as they are spelled together.
async function showForced(name) {
  for (let i = 0; i < forced.length; i++) {
    const before = history.at(-1)?.tokens[i];
    const known = before?.id === forced[i] ? before : null;
    const spelled = known?.text ?? (await askJson("/detokenize", { model: name, tokens: [forced[i]] })).content;
    show({ id: forced[i], text: spelled, logprob: known?.logprob ?? null, chosen: known?.chosen || i === forced.length - 1 });
  }
}

function clear() {
  text = blank();
  here = -1;
  seen = null;
  $("text").replaceChildren(make("span", { class: "begun" }, $("prompt").value));
  $("text").removeAttribute("aria-activedescendant");
  $("notes").replaceChildren();
  $("problem").hidden = true;
  $("next-shown").hidden = true;
  $("speed").textContent = "";
  $("empty").hidden = Boolean($("prompt").value);
}

function busy(is) {
  $("stop").disabled = !is;
  $("back").disabled = is || history.length === 0;
  $("copy").disabled = text.tokens.length === 0;
  $("text").setAttribute("aria-busy", is);
}

function complain(error) {
  $("problem").textContent = error.message;
  $("problem").hidden = false;
  if (error.status === 401) lock(error);
}

function back() {
  const before = history.pop();
  if (!before) return;
  $("prompt").value = before.prompt;
  forced = before.forced;
  clear();
  before.tokens.forEach(({ id, text: words, logprob, chosen }) => show({ id, text: words, logprob, chosen }));
  Object.assign(text, { start: before.start, length: before.length });
  remember();
  busy(false);
}

// ---------------------------------------------------------------- looking behind a token

async function look(number) {
  if (number < 0 || number >= text.tokens.length) return;
  text.tokens[here]?.element.classList.remove("here");
  text.tokens[here]?.element.setAttribute("aria-selected", "false");
  here = number;
  const { element } = text.tokens[here];
  element.classList.add("here");
  element.setAttribute("aria-selected", "true");
  element.scrollIntoView({ block: "nearest" });
  $("text").setAttribute("aria-activedescendant", element.id);
  const ids = [...text.start, ...text.tokens.slice(0, here).map((token) => token.id)];
  const written = here < text.forced.length ? here : here - text.forced.length; // what was chosen was read as a beginning
  try {
    const found = await askJson("/api/next", { model: model().name, ids, written });
    if (here !== number) return;
    seen = found;
    all = false;
    showNext();
  } catch (error) {
    complain(error);
  }
}

function showNext() {
  if (!seen || here < 0) return;
  const token = text.tokens[here];
  const found = cut(seen.logprobs, settings());
  const taken = seen.ids.indexOf(token.id);
  const name = (i) => visible(seen.tokens[i]);
  const likeliest = found.model.slice(0, 3).map((p, i) => `${name(i)} ${percent(p)}`).join(" · ");
  const rank = taken < 0 ? "" : `, place ${taken + 1} of ${seen.ids.length}, ${bits(seen.logprobs[taken]).toFixed(1)} bits of surprise`;
  const said = `Token ${here + 1}, ${taken < 0 ? visible(token.text) : name(taken)}${rank}. Likeliest: ${likeliest}.`;
  $("next-said").textContent = said;
  $("next-shown").hidden = false;
  $("bars").replaceChildren(bars(found, taken, said, $("bars").clientWidth));
  const kept = `${found.kept} of ${seen.ids.length + seen.more} tokens may be drawn, holding ${percent(found.mass)} of the probability`;
  $("cut").textContent = `${kept} (limit: ${found.why}). After ${seen.context} tokens of context.`;
  $("rows").replaceChildren(...rows(found, taken, name));
  $("more").hidden = all || seen.ids.length <= ROWS;
}

function rows(found, taken, name) {
  const shown = seen.ids.map((_, i) => i).filter((i) => all || i < ROWS || i === taken);
  return shown.map((i) => {
    const button = make("button", { type: "button", "aria-label": `go on with ${name(i)}` }, name(i));
    button.addEventListener("click", () => branch(seen.ids[i]));
    const state = `${i < found.kept ? "" : "cut "}${i === taken ? "taken" : ""}`.trim();
    const drawn = i < found.kept ? percent(found.drawn[i]) : "cut";
    return make("tr", { class: state }, make("td", {}, button), make("td", {}, percent(found.model[i])), make("td", {}, drawn),
      make("td", {}, bits(seen.logprobs[i]).toFixed(1)));
  });
}

function branch(id) {
  forced = [...text.tokens.slice(0, here).map((token) => token.id), id];
  write();
  $("text").focus();
}

// ---------------------------------------------------------------- the wiring

function fresh() {
  forced = [];
  write();
}

function listen() {
  $("write").addEventListener("click", fresh);
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) fresh();
  });
  $("again").addEventListener("click", () => {
    $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0];
    write();
  });
  $("stop").addEventListener("click", () => writing?.abort());
  $("back").addEventListener("click", back);
  $("copy").addEventListener("click", copy);
  $("more").addEventListener("click", () => {
    all = true;
    showNext();
  });
  for (const name of Object.keys(SETTINGS)) {
    $(name).addEventListener("input", () => {
      showSettings();
      showNext();
      remember();
    });
  }
  $("model").addEventListener("change", () => {
    writing?.abort();
    [forced, history] = [[], []];
    clear();
    busy(false);
    showModel();
    remember();
    watchRun(() => model().name);
  });
  $("sample").addEventListener("click", sample);
  $("text").addEventListener("click", (event) => {
    const token = event.target.closest("[data-i]");
    if (token) look(Number(token.dataset.i));
  });
  $("text").addEventListener("keydown", move);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") writing ? writing.abort() : $("text").focus();
  });
  window.addEventListener("hashchange", recall);
  $("locked").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey($("key").value);
    begin();
  });
}

function move(event) {
  const last = text.tokens.length - 1;
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, ArrowDown: here + 20, ArrowUp: here - 20, Home: 0, End: last }[event.key];
  if (to !== undefined && last >= 0) {
    event.preventDefault();
    look(Math.min(Math.max(to, 0), last));
  } else if (event.key === "Enter" && !$("next-shown").hidden) {
    event.preventDefault();
    $("rows").querySelector("button")?.focus();
  }
}

async function copy() {
  const whole = $("text").querySelector(".begun").textContent + text.tokens.map((token) => token.text).join("");
  try {
    await navigator.clipboard.writeText(whole);
    $("speed").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren($("text"));
    $("speed").textContent = "Selected: copy it with Ctrl+C.";
  }
}

async function sample() {
  const wish = { model: model().name, prompt: null, max_tokens: 300, seed: 1337, temperature: 0.8 };
  try {
    $("sampled").textContent = (await askJson("/v1/completions", wish)).choices[0].text;
    $("sampled").hidden = false;
  } catch (error) {
    complain(error);
  }
}

function lock(error) {
  $("refused").textContent = $("key").value ? error.message : "";
  $("locked").hidden = false;
  $("key").focus();
}

async function begin() {
  try {
    models = (await (await ask("/api/models")).json()).models;
  } catch (error) {
    complain(error);
    if (error.status !== 401) $("about").textContent = error.message;
    return;
  }
  $("locked").hidden = true;
  $("desk").hidden = false;
  $("model").replaceChildren(...models.map((one) => make("option", { value: one.name }, one.name)));
  recall();
  showModel();
  busy(false);
  watchRun(() => model().name);
}

listen();
begin();
