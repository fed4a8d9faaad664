// Elements and pictures. Every text goes through textContent or an attribute: nothing is ever read as markup.

export function make(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

function draw(name, attributes = {}, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

// A token as something that can be seen.
export function visible(text) {
  const names = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "": "(nothing)" };
  if (text in names) return names[text];
  const hidden = /[\p{C}\p{Z}]/gu;
  return text.replace(hidden, (char) => names[char] ?? `\\u{${char.codePointAt(0).toString(16)}}`);
}

// A picture is as wide as its place, so that its letters keep their size.
function within(room, least, most) {
  return Math.min(Math.max(room || most, least), most);
}

export function percent(p) {
  return p >= 0.1 ? `${(p * 100).toFixed(0)} %` : p >= 0.001 ? `${(p * 100).toFixed(1)} %` : p > 0 ? "< 0.1 %" : "0";
}

// The whole distribution, likeliest first: filled what may be drawn, in outline what the model said. Small ones would
// not be seen beside the first, so that heights are square roots.
export function bars({ model, drawn, kept, why }, taken, said, room) {
  const [height, foot, most] = [150, 18, 120];
  const width = within(room, 280, 900);
  const shown = Math.min(model.length, most);
  const top = Math.max(...model.slice(0, shown), ...drawn.slice(0, shown));
  const step = width / shown;
  const tall = (p) => Math.sqrt(p / top) * (height - 16);
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-label": said });
  for (let i = 0; i < shown; i++) {
    const x = i * step + step * 0.1;
    const kind = i === taken ? "taken" : i < kept ? "kept" : "cut";
    const p = i < kept ? drawn[i] : model[i];
    picture.append(draw("rect", { class: kind, x, width: step * 0.8, y: height - tall(p), height: tall(p) }));
    if (i < kept) picture.append(draw("rect", { class: "model", x, width: step * 0.8, y: height - tall(model[i]), height: tall(model[i]) }));
  }
  if (kept < shown) {
    const x = kept * step;
    const right = x > width * 0.6;
    picture.append(draw("line", { class: "edge", x1: x, x2: x, y1: 0, y2: height }));
    picture.append(draw("text", { x: right ? x - 5 : x + 5, y: 12, "text-anchor": right ? "end" : "start" }, `cut by ${why}`));
  }
  const rest = model.length > shown ? `, ${model.length - shown} more to the right` : "";
  picture.append(draw("text", { x: 0, y: height + 14 }, `likeliest first, heights are square roots${rest}`));
  return picture;
}

// Training and validation loss over steps, and the scale of the text: level lines as far as the picture reaches, and the
// names of those beyond at its edge, so that no curve is squashed.
export function curve({ train, val, baseline }, said, room) {
  const width = within(room, 300, 1200);
  const beside = width >= 600;
  const [height, left, right, foot] = [beside ? 300 : 240, 34, beside ? 120 : 4, 22];
  const counted = baseline.filter((line) => ["bigram", "ngram"].includes(line.name));
  const losses = [...train, ...val].map((point) => point[1]).concat(counted.map((line) => line.loss));
  const low = Math.min(...losses) - 0.05;
  const unseen = val.map((point) => point[1]);
  const risen = unseen.slice(unseen.indexOf(Math.min(...unseen)));  // never cut off: it would look like standing still
  const high = Math.max(Math.min(Math.max(...losses), low + 4), ...risen) + 0.05;
  const last = Math.max(1, ...[...train, ...val].map((point) => point[0]));
  const x = (step) => left + (step / last) * (width - left - right);
  const y = (loss) => 8 + ((high - Math.min(Math.max(loss, low), high)) / (high - low)) * (height - 8);
  const picture = draw("svg", { viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-label": said });
  const gap = [0.1, 0.2, 0.5, 1, 2].find((size) => (high - low) / size <= 9) ?? 5;
  for (let level = Math.ceil(low / gap) * gap; level <= high; level += gap) {
    picture.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: y(level), y2: y(level) }));
    picture.append(draw("text", { x: left - 6, y: y(level) + 4, "text-anchor": "end" }, level.toFixed(1)));
  }
  for (const { loss } of baseline.filter((line) => low < line.loss && line.loss < high)) {
    picture.append(draw("line", { class: "count", x1: left, x2: width - right, y1: y(loss), y2: y(loss) }));
  }
  for (const [kind, points] of [["train", train], ["val", val]]) {
    const places = points.map(([step, loss]) => [x(step).toFixed(1), y(loss).toFixed(1)]);
    if (places.length === 1) picture.append(draw("circle", { class: kind, cx: places[0][0], cy: places[0][1], r: 3 })); // a line needs two
    else picture.append(draw("polyline", { class: kind, points: places.map((place) => place.join(",")).join(" ") }));
  }
  const at = beside ? { x: width - right + 6 } : { x: width - right, "text-anchor": "end" };
  const lines = [...baseline].sort((one, other) => other.loss - one.loss);
  const heights = apart(lines.map((line) => y(line.loss) + (beside ? 4 : -4)), 12, height);
  lines.forEach(({ name, order, loss }, i) => {
    const mark = loss >= high ? "▲ " : loss <= low ? "▼ " : "";
    const title = name === "ngram" ? `${order}-gram` : name;
    picture.append(draw("text", { class: "line", ...at, y: heights[i] }, `${mark}${title} ${loss.toFixed(3)}`));
  });
  picture.append(draw("text", { x: left, y: height + 16 }, "nats; blue: validation, grey: training"));
  picture.append(draw("text", { x: width - right, y: height + 16, "text-anchor": "end" }, `step ${last.toLocaleString("en")}`));
  return picture;
}

// Heights of labels from the top down, moved so that none covers another and all lie between top and bottom.
function apart(heights, top, bottom, gap = 14) {
  const placed = [];
  for (const height of heights) placed.push(placed.length ? Math.max(height, placed.at(-1) + gap) : Math.max(height, top));
  for (let i = placed.length - 1, most = bottom; i >= 0; i--, most = placed[i + 1] - gap) placed[i] = Math.min(placed[i], most);
  return placed;
}
