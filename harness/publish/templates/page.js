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
  const tools = event.target.closest(".tools");
  if (!tools) return;
  if (event.target.dataset.toggle) showGroup(event.target);
  else filterRows(tools);
});
