"use strict";
{
  const table = document.querySelector("table.cases");
  if (table) {
    const limit = 200;
    const rows = Array.from(table.tBodies[0].rows);
    const buttons = document.querySelectorAll(".filters button");
    const suite = document.querySelector(".filters select");
    const search = document.querySelector(".filters input");
    const shown = document.querySelector(".rest .shown");
    const all = document.querySelector(".rest .all");
    const texts = rows.map((row) => row.cells[2].textContent.toLowerCase());
    let outcome = "";
    let everything = false;

    const apply = () => {
      const words = search.value.trim().toLowerCase();
      let matching = 0;
      rows.forEach((row, index) => {
        const fits =
          (!outcome || row.dataset.outcome === outcome) &&
          (!suite.value || row.dataset.suite === suite.value) &&
          (!words || texts[index].includes(words));
        if (fits) matching += 1;
        row.classList.toggle("on", fits && (everything || matching <= limit));
      });
      const visible = everything ? matching : Math.min(matching, limit);
      shown.textContent = visible === rows.length ? "" : `${visible} of ${rows.length} cases shown`;
      all.hidden = visible === matching;
    };

    buttons.forEach((button) =>
      button.addEventListener("click", () => {
        outcome = button.dataset.outcome;
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        everything = false;
        apply();
      }),
    );
    suite.addEventListener("change", apply);
    search.addEventListener("input", apply);
    all.addEventListener("click", () => {
      everything = true;
      apply();
    });
    apply();
  }
  // Paper cannot be clicked: what is folded away is unfolded for printing.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((item) => item.setAttribute("open", ""));
  });
}
