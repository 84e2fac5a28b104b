"use strict";
// Theme: what the reader chose last, else what the system prefers. Storage may be forbidden on file://.
const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
const dark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = (name) => {
  document.documentElement.dataset.theme = name;
  for (const button of document.querySelectorAll("[data-theme-switch]")) {
    button.textContent = name === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${name === "dark" ? "light" : "dark"} theme`);
  }
};
setTheme(remembered || (dark.matches ? "dark" : "light"));

const keyOf = (row, index) => {
  const cell = row.cells[index];
  if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
  const text = cell.textContent.trim();
  return text === "—" || text === "" ? null : text.toLowerCase();
};

// Missing values stay last whichever way the column is sorted; equal ones keep their order.
const compare = (a, b, way) => {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return way * (a - b);
  return way * String(a).localeCompare(String(b), "en");
};

const sortBy = (head) => {
  const table = head.closest("table");
  const numeric = head.classList.contains("n") && !head.dataset.ascending;
  const now = head.getAttribute("aria-sort");
  const first = numeric ? "descending" : "ascending";
  const second = numeric ? "ascending" : "descending";
  const direction = now === first ? second : first;
  for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", direction);
  const way = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const index = Number(head.dataset.column);
  const rows = [...body.rows].map((row) => [keyOf(row, index), row]);
  rows.sort((a, b) => compare(a[0], b[0], way));
  body.append(...rows.map((pair) => pair[1]));
};

// A row is shown when it holds every word of the filter and its kind is ticked.
const filterRows = (tools) => {
  const table = document.getElementById(tools.dataset.table);
  const words = tools.querySelector("input[type=search]").value.toLowerCase().split(/\s+/).filter(Boolean);
  const variants = tools.querySelector("[data-variant]");
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    const wanted = words.every((word) => text.includes(word));
    row.hidden = !wanted || (variants && !variants.checked && row.classList.contains(variants.dataset.variant));
    shown += !row.hidden;
  }
  tools.querySelector("output").textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
};

const showGroup = (box) => {
  const table = document.getElementById(box.closest(".tools").dataset.table);
  for (const cell of table.querySelectorAll(`[data-group="${box.dataset.toggle}"]`)) cell.hidden = !box.checked;
};

document.addEventListener("DOMContentLoaded", () => {
  setTheme(document.documentElement.dataset.theme);
  for (const tools of document.querySelectorAll(".tools")) {
    tools.hidden = false;
    if (!tools.dataset.table) continue;
    filterRows(tools);
    for (const box of tools.querySelectorAll("[data-toggle]")) showGroup(box);
  }
});
document.addEventListener("click", (event) => {
  const head = event.target.closest("th button");
  if (head) sortBy(head.parentElement);
  if (event.target.closest("[data-theme-switch]")) {
    const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    setTheme(name);
    try { localStorage.setItem("theme", name); } catch { /* the choice then lasts for this page */ }
  }
});
document.addEventListener("input", (event) => {
  const tools = event.target.closest(".tools[data-table]");
  if (!tools) return;
  if (event.target.dataset.toggle) showGroup(event.target);
  else filterRows(tools);
});

// -- an entry's page: the rival, the classes, the gallery, the map ---------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const make = (parent, name, attributes, text) => {
  const node = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
};
const points = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value / 10).toFixed(1)}`;
const classOf = (image) => {
  const label = board.of[image];
  return typeof label === "number" ? board.classes[label] : label;
};

// Each class's gain over the rival, from the largest gain to the largest loss.
const gains = (mine, theirs) => mine
  .map((score, i) => [score === null || theirs[i] === null ? null : score - theirs[i], board.classes[i]])
  .filter((pair) => pair[0] !== null)
  .sort((a, b) => b[0] - a[0] || a[1].localeCompare(b[1], "en"));

const drawClasses = (section, own, rival) => {
  const figure = section.querySelector("[data-classes]");
  const [mine, theirs] = [board.entries[own], board.entries[rival]];
  figure.hidden = !(mine.scores && theirs.scores);
  if (figure.hidden) return;
  const found = gains(mine.scores, theirs.scores);
  const up = found.filter((pair) => pair[0] > 0).length;
  const words = `${mine.title} is better than ${theirs.title} on ${up} of ${found.length} classes; differences `
    + `go from ${points(found[0][0])} to ${points(found[found.length - 1][0])} points.`;
  const most = Math.max(1, ...found.map((pair) => Math.abs(pair[0])));
  const place = figure.querySelector("[data-drawn]");
  place.replaceChildren();
  figure.querySelector("[data-words]").textContent = words;
  const svg = make(place, "svg:svg", {
    viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": words, class: "bars",
  });
  const step = 1000 / found.length;
  found.forEach(([gain, name], i) => {
    const height = Math.abs(gain) / most * 50;
    const bar = make(svg, "svg:rect", {
      x: (i * step).toFixed(2), y: (gain > 0 ? 50 - height : 50).toFixed(2), height: height.toFixed(2),
      width: (0.85 * step).toFixed(2), class: gain > 0 ? "gain" : "loss",
    });
    make(bar, "svg:title", {}, `${name}: ${points(gain)}`);
  });
  for (const [list, pairs] of [["gained", found.slice(0, 8)], ["lost", found.slice(-8).reverse()]]) {
    const place = figure.querySelector(`[data-${list}]`);
    place.replaceChildren();
    for (const [gain, name] of pairs.filter((pair) => list === "gained" ? pair[0] > 0 : pair[0] < 0)) {
      const item = make(place, "li");
      make(item, "span", {}, name);
      make(item, "b", {}, points(gain));
    }
  }
};

const tile = (parent, image, kind, rank) => {
  const node = make(parent, "i", { class: `tile ${kind}`, title: classOf(image) });
  if (board.sheet) {
    node.style.setProperty("--c", image % board.columns);
    node.style.setProperty("--r", Math.floor(image / board.columns));
  } else {
    const name = classOf(image);
    node.textContent = kind === "right" ? rank : `${rank} ${name.length > 24 ? `${name.slice(0, 23)}…` : name}`;
  }
};

// Under each query the rival's neighbours, and which of the two gets it at once.
const drawRival = (section, own, rival) => {
  for (const row of section.querySelectorAll("[data-query]")) {
    const number = Number(row.dataset.query);
    const label = board.of[board.queries[number]];
    const hit = (method) => {
      const near = (board.entries[method] || {}).near;
      return near ? board.of[near[number][0]] === label : null;
    };
    row.dataset.mine = hit(own);
    row.dataset.theirs = rival ? hit(rival) : "null";
    row.querySelector(".near.other")?.remove();
    const near = rival && board.entries[rival].near;
    if (!near) continue;
    const strip = make(row, "span", { class: "near other", "aria-hidden": "true" });
    near[number].forEach((image, i) => tile(strip, image, board.of[image] === label ? "right" : "wrong", i + 1));
  }
};

const showQueries = (section) => {
  const tools = section.querySelector("[data-queries]");
  if (!tools) return;
  const wanted = tools.querySelector("select").value;
  const rows = [...section.querySelectorAll("[data-query]")];
  const keep = {
    few: (row, i) => i < 12, all: () => true, miss: (row) => row.dataset.mine === "false",
    won: (row) => row.dataset.mine === "true" && row.dataset.theirs === "false",
    lost: (row) => row.dataset.mine === "false" && row.dataset.theirs === "true",
  }[wanted];
  rows.forEach((row, i) => { row.hidden = !keep(row, i); });
  tools.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} queries`;
};

const compareWithRival = (section) => {
  const rival = document.querySelector("[data-rival] select")?.value;
  if (rival) drawClasses(section, section.dataset.entry, rival);
  drawRival(section, section.dataset.entry, rival);
  showQueries(section);
};

const pointOut = (name) => {
  for (const path of document.querySelectorAll(".map [data-class]")) {
    path.classList.toggle("chosen", path.dataset.class === name);
    path.closest("svg").classList.toggle("choosing", name !== "");
  }
};

document.addEventListener("DOMContentLoaded", () => {
  const section = document.querySelector("[data-entry]");
  if (section && window.board) {
    compareWithRival(section);
    document.querySelector("[data-rival] select")?.addEventListener("change", () => compareWithRival(section));
    section.querySelector("[data-queries] select")?.addEventListener("change", () => showQueries(section));
  }
  document.querySelector("[data-map] select")?.addEventListener("change", (event) => pointOut(event.target.value));
});
