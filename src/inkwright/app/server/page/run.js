// A run beside its text: the curve, the counts it is read against; looked at again while it is still training.

import { askJson } from "./api.js";
import { curve, make } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const SECONDS = { training: 2, ended: 30 };
let timer = 0;

export function watchRun(name) {
  clearTimeout(timer);
  const again = async () => {
    const seconds = document.hidden ? SECONDS.training : await showRun(name());
    timer = setTimeout(again, seconds * 1000);
  };
  again();
}

// Show where a run stands; gives the seconds until it is worth another look.
async function showRun(name) {
  let found;
  try {
    found = await askJson(`/api/runs/${encodeURIComponent(name)}`);
  } catch (error) {
    $("run-said").textContent = error.message;
    return SECONDS.ended;
  }
  $("run-shown").hidden = !found.run || found.val.length + found.train.length === 0;
  if (!found.run) {
    $("run-said").textContent = "There is no record of a training beside this model.";
    return SECONDS.ended;
  }
  const training = found.step < found.steps;
  const best = found.val.length ? `, best validation loss ${Math.min(...found.val.map((point) => point[1])).toFixed(4)}` : "";
  const standing = `step ${found.step.toLocaleString("en")} of ${found.steps.toLocaleString("en")}`;
  const said = `${found.text}: ${standing}${best}.`;
  const live = training ? " This picture follows the run while it goes on; the model is the one of when the server began." : "";
  if ($("run-said").textContent === said + live && $("curve").firstChild) return training ? SECONDS.training : SECONDS.ended;
  $("run-said").textContent = said + live;
  if ($("run-shown").hidden) return SECONDS.training;
  $("curve").replaceChildren(curve(found, said, $("curve").clientWidth));
  $("points").replaceChildren(...found.val.map(([step, loss]) => row(step.toLocaleString("en"), loss.toFixed(4))));
  $("on-the-way").hidden = found.samples.length === 0;
  $("samples").replaceChildren(...found.samples.flatMap(({ step, text }) =>
    [make("p", { class: "faint" }, `Step ${step.toLocaleString("en")}`), make("pre", {}, text)]));
  const names = { uniform: "uniform guessing", unigram: "unigram counts", bigram: "bigram counts", gzip: "gzip", xz: "xz" };
  $("scale").replaceChildren(...found.baseline.map((line) =>
    row(names[line.name] ?? `${line.order}-gram counts`, line.loss.toFixed(3), line.bits_per_char.toFixed(3))));
  return training ? SECONDS.training : SECONDS.ended;
}

function row(...cells) {
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}
