// What temperature, top-k and top-p make of a distribution: the same rules as sample/draw.py, in the same order.

// logprobs: likeliest first. Gives the model's own probabilities, those after temperature, how many are kept, and why.
export function cut(logprobs, { temperature, top_k, top_p }) {
  const model = logprobs.map(Math.exp);
  const heated = temperature === 0 ? logprobs.map((_, i) => (i === 0 ? 1 : 0)) : softmax(logprobs, temperature);
  const limits = [{ name: "the whole vocabulary", kept: logprobs.length }];
  if (temperature === 0) limits.push({ name: "temperature 0", kept: 1 });
  if (top_k > 0) limits.push({ name: `top-k ${top_k}`, kept: Math.min(top_k, logprobs.length) });
  const among = Math.min(...limits.map((limit) => limit.kept));
  if (top_p < 1) limits.push({ name: `top-p ${top_p}`, kept: crossing(heated.slice(0, among), top_p) });
  const kept = Math.min(...limits.map((limit) => limit.kept));
  const mass = sum(heated.slice(0, kept));
  const drawn = heated.map((p, i) => (i < kept ? p / mass : 0));
  return { model, drawn, kept, mass, why: limits.find((limit) => limit.kept === kept).name };
}

function softmax(logprobs, temperature) {
  const raised = logprobs.map((value) => Math.exp((value - logprobs[0]) / temperature));
  const total = sum(raised);
  return raised.map((value) => value / total);
}

// How many of the likeliest hold this share: the one that crosses it stays.
function crossing(probs, share) {
  const total = sum(probs);
  let before = 0;
  for (let i = 0; i < probs.length; i++) {
    if (before / total >= share) return i;
    before += probs[i];
  }
  return probs.length;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

export function bits(logprob) {
  return -logprob / Math.LN2;
}

// The class of a token's tint.
export function tint(logprob) {
  if (logprob === null) return "s0";
  return `s${[0.5, 1, 2, 3, 5, 8].filter((edge) => bits(logprob) >= edge).length}`;
}
