// Tables that sort, and the list of sites that filters. What the page says does not depend on it.
"use strict";
(function () {
  document.documentElement.classList.add("scripted");
  const order = new Intl.Collator("en", { numeric: true });
  const absent = new Set(["", "–", "not obs.", "not assessed"]);

  // A cell is compared by its number where it has one, else by its words; what is absent comes last either way.
  function keyOf(row, column) {
    const cell = row.cells[column];
    const words = cell.textContent.trim();
    if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
    return absent.has(words) ? null : words;
  }

  function compare(a, b, way) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return way * (a - b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return way * order.compare(a, b);
  }

  function sortable(table) {
    const body = table.tBodies[0];
    if (body.rows.length < 2) return;
    const given = Array.from(body.rows);
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      // Paper gets plain headings: a browser repeats them on the next sheet, buttons it does not.
      addEventListener("beforeprint", () => button.replaceWith(...button.childNodes));
      addEventListener("afterprint", () => {
        button.append(...head.childNodes);
        head.append(button);
      });
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", next);
        const way = next === "descending" ? -1 : 1;
        const keyed = given.map((row) => [keyOf(row, column), row]);
        if (next !== "none") keyed.sort((a, b) => compare(a[0], b[0], way));
        body.append(...keyed.map((pair) => pair[1]));
      });
    });
  }

  function filterable(form) {
    const table = document.getElementById(form.dataset.filters);
    const said = form.querySelector("[role=status]");
    const apply = () => {
      const words = form.elements.words.value.trim().toLowerCase();
      const verdict = form.elements.verdict.value;
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const fits = row.textContent.toLowerCase().includes(words) && (!verdict || row.querySelector(".verdict." + verdict));
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      said.textContent = shown + " of " + table.tBodies[0].rows.length + " sites shown";
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("form[data-filters]").forEach(filterable);
})();
